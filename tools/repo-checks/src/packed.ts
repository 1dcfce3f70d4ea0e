import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { packages, readJson, root, type Manifest, type Package } from './workspace.ts'

const exec = promisify(execFile)

/** Everything an installed package needs at run time, itself included. */
export interface Installed {
  /** Folder of the project that it was installed into, empty besides. */
  readonly project: string
  /** Its packages, by name: where each lies. */
  readonly folders: ReadonlyMap<string, string>
}

/** The packages as a registry would hand them out. */
export interface Packed extends Disposable {
  /** Installs one package with what it depends on, and nothing else, into a project of its own. */
  install(entry: Package): Promise<Installed>
}

/**
 * Packs every package into a temporary folder, which is removed with the result.
 *
 * @throws when a package is not built
 */
export async function packAll(): Promise<Packed> {
  const unbuilt = packages.filter(({ folder }) => !existsSync(join(folder, 'dist/index.js')))
  if (unbuilt.length > 0) {
    throw new Error(`not built: ${unbuilt.map(({ name }) => name).join(', ')}; run "npm run build" first`)
  }
  const folder = mkdtempSync(join(tmpdir(), 'net-packed-'))
  const remove = (): void => {
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const pnpm = join(root, 'node_modules/.bin/pnpm')
    await exec(pnpm, ['--filter', './packages/*', 'pack', '--pack-destination', folder], { cwd: root })
    const tarballs = new Map(
      readdirSync(folder).map((file) => [/^net-(.+)-\d/.exec(file)?.[1] ?? '', join(folder, file)]),
    )
    return {
      install: (entry) => install(entry, tarballs, mkdtempSync(join(folder, `${entry.name}-`))),
      [Symbol.dispose]: remove,
    }
  } catch (error) {
    remove()
    throw error
  }
}

async function install(entry: Package, tarballs: ReadonlyMap<string, string>, project: string): Promise<Installed> {
  const folders = new Map<string, string>()
  const wanted = [{ name: entry.manifest.name, from: entry.folder }]
  for (let next = wanted.shift(); next !== undefined; next = wanted.shift()) {
    const { name, from } = next
    if (folders.has(name)) continue
    const target = join(project, 'node_modules', name)
    folders.set(name, target)
    mkdirSync(dirname(target), { recursive: true })
    if (!name.startsWith('@net/')) {
      // Not packed here: as it lies in the workspace, with its own dependencies beside it.
      symlinkSync(realpathSync(join(from, 'node_modules', name)), target)
      continue
    }
    const tarball = tarballs.get(basename(name))
    if (tarball === undefined) throw new Error(`${name} was not packed`)
    mkdirSync(target)
    await exec('tar', ['-xzf', tarball, '-C', target, '--strip-components=1'])
    const manifest = readJson(target, 'package.json') as Manifest
    for (const dependency of Object.keys(manifest.dependencies ?? {})) {
      wanted.push({ name: dependency, from: join(root, 'packages', basename(name)) })
    }
  }
  return { project, folders }
}

/** Puts an example into the project and says what to start, and where. */
export function place(entry: Package, example: string, { project }: Installed): { file: string; cwd: string } {
  cpSync(join(entry.folder, example), join(project, basename(example)))
  return { file: basename(example), cwd: project }
}
