import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { KeyedMutex, randomId } from '@net/types'
import { InvalidFileHashError } from './errors.ts'

const DEFAULT_MODE = 0o644

/** How a file is written. */
export interface WriteOptions {
  /** Of a file that is made. @defaultValue 0o644 */
  readonly mode?: number
  /** Where the hash of what was written is kept, for {@link BoundFiles.isModified}. @defaultValue nowhere */
  readonly hashPath?: string
}

/**
 * Files that are bind-mounted into containers. They are always written in place: one renamed over would
 * be another file, which the container does not see. One thing at a time is done to each.
 */
export class BoundFiles {
  readonly #locks = new KeyedMutex<string>()

  /** Writes a file, or makes it. */
  async write(path: string, text: string, options: WriteOptions = {}): Promise<void> {
    const { mode = DEFAULT_MODE, hashPath } = options
    using _lock = await this.#locks.lock(path)
    await writeFile(path, text, { mode })
    if (hashPath !== undefined) await replaceFile(hashPath, hashOf(text), mode)
  }

  /** Adds text at the end of a file that is there, in one piece. Nothing to add needs no file. */
  async append(path: string, text: string): Promise<void> {
    if (text === '') return
    using _lock = await this.#locks.lock(path)
    await using file = await open(path, constants.O_WRONLY | constants.O_APPEND)
    await file.writeFile(text)
  }

  /** Makes the text of a file another one. Where that is the same, nothing is written. */
  async edit(path: string, change: (text: string) => string): Promise<void> {
    using _lock = await this.#locks.lock(path)
    const before = await readFile(path, 'utf8')
    const after = change(before)
    if (after !== before) await writeFile(path, after)
  }

  /**
   * Whether somebody else has changed a file since its hash was kept; false where none was.
   *
   * @throws InvalidFileHashError (`ERR_INVALID_FILE_HASH`)
   */
  async isModified(path: string, hashPath: string): Promise<boolean> {
    using _lock = await this.#locks.lock(path)
    const kept = await readIfThere(hashPath)
    if (kept === undefined) return false
    if (!/^sha256:[0-9a-f]{64}$/.test(kept.trim())) throw new InvalidFileHashError(hashPath)
    return hashOf(await readFile(path)) !== kept.trim()
  }
}

function hashOf(content: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

/** The hash is read by nobody but us, and half of one would be worse than the one before. */
async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.${randomId().slice(0, 12)}`
  try {
    await writeFile(temporary, text, { mode, flag: 'wx' })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
