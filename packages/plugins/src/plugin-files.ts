import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidPluginError } from './errors.ts'
import { fieldOf, isObject } from './plugin-fields.ts'
import { parsePluginAddress, type PluginAddress, type PluginTls } from './plugin-address.ts'

/** Where plugins are looked for. */
export interface PluginFolders {
  /** Folders of sockets. */
  readonly sockets: readonly string[]
  /** Folders of files that say where a plugin listens. */
  readonly specs: readonly string[]
}

/**
 * Where the plugin of this name listens: its socket `NAME.sock`, or the address in `NAME.spec` or `NAME.json`, each in
 * one of the folders or in a folder there that has the plugin's name.
 *
 * @throws InvalidPluginError (`ERR_INVALID_PLUGIN`) for a file that makes no sense
 */
export async function findPlugin(name: string, folders: PluginFolders): Promise<PluginAddress | undefined> {
  for (const path of pathsOf(folders.sockets, name, ['.sock'])) if (await isSocket(path)) return { socketPath: path }
  for (const path of pathsOf(folders.specs, name, ['.spec', '.json'])) {
    const text = await readIfThere(path)
    if (text !== undefined) return path.endsWith('.spec') ? parsePluginAddress(text.trim()) : readJson(path, text)
  }
  return undefined
}

function pathsOf(folders: readonly string[], name: string, endings: readonly string[]): string[] {
  return folders.flatMap((folder) =>
    endings.flatMap((ending) => [join(folder, name + ending), join(folder, name, name + ending)]),
  )
}

async function isSocket(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isSocket(),
    () => false,
  )
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new InvalidPluginError('plugin file', path, 'a file that can be read', error)
  }
}

async function readJson(path: string, text: string): Promise<PluginAddress> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new InvalidPluginError('plugin file', path, 'JSON', cause)
  }
  const address = isObject(json) ? fieldOf(json, 'Addr') : undefined
  if (!isObject(json) || typeof address !== 'string') {
    throw new InvalidPluginError('plugin file', path, 'an object with Addr, a text')
  }
  const tls = fieldOf(json, 'TLSConfig')
  return parsePluginAddress(address, isObject(tls) ? await readTls(path, tls) : undefined)
}

async function readTls(path: string, tls: Readonly<Record<string, unknown>>): Promise<PluginTls> {
  const read = async (name: string): Promise<Buffer | undefined> => {
    const file = fieldOf(tls, name) ?? ''
    if (file === '') return undefined
    if (typeof file !== 'string') throw new InvalidPluginError('plugin file', path, `${name}, the path of a file`)
    return readFile(file).catch((cause: unknown) => {
      throw new InvalidPluginError(name, file, 'a file that can be read', cause)
    })
  }
  const ca = await read('CAFile')
  // As Docker does: without a certificate to check against, nothing is checked.
  const rejectUnauthorized = fieldOf(tls, 'InsecureSkipVerify') !== true && ca !== undefined
  return { rejectUnauthorized, ca, cert: await read('CertFile'), key: await read('KeyFile') }
}
