import { createHash } from 'node:crypto'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { open, readFile, rename, rm, writeFile, type FileHandle } from 'node:fs/promises'
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
 * Files that are bind-mounted into containers. They are always written in place: one renamed over would be another file,
 * which the container does not see. They are never empty meanwhile, and have the old text or the new one should the
 * process die, the latter perhaps with blank lines at its end. One thing at a time is done to each.
 */
export class BoundFiles {
  readonly #locks = new KeyedMutex<string>()

  /**
   * Whether a file says just that, and its hash is kept where that is to be. At once: no more is read than that takes,
   * however long somebody made it.
   */
  says(path: string, text: string, { hashPath }: Pick<WriteOptions, 'hashPath'> = {}): boolean {
    return isText(path, text) && (hashPath === undefined || isText(hashPath, hashOf(text)))
  }

  /** Writes a file, or makes it. One that says that already is not written. */
  async write(path: string, text: string, options: WriteOptions = {}): Promise<void> {
    const { mode = DEFAULT_MODE, hashPath } = options
    using _lock = await this.#locks.lock(path)
    if (this.says(path, text, options)) return
    if (hashPath !== undefined) await intend(hashPath, hashOf(text), mode)
    if (!(await overwrite(path, text))) await replaceFile(path, text, mode)
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
    if (after !== before) await overwrite(path, after)
  }

  /**
   * Whether somebody else has changed a file since its hash was kept; false where none was.
   *
   * @throws InvalidFileHashError (`ERR_INVALID_FILE_HASH`)
   */
  async isModified(path: string, hashPath: string): Promise<boolean> {
    using _lock = await this.#locks.lock(path)
    const kept = (await readIfThere(hashPath))?.trim().split('\n')
    if (kept === undefined) return false
    if (!kept.every((hash) => /^sha256:[0-9a-f]{64}$/.test(hash))) throw new InvalidFileHashError(hashPath)
    const content = await readFile(path, 'utf8')
    return ![content, withoutPadding(content)].some((text) => kept.includes(hashOf(text)))
  }
}

function isText(path: string, text: string): boolean {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (isAbsence(error)) return false
    throw error
  }
  try {
    const wanted = Buffer.from(text)
    const there = Buffer.allocUnsafe(wanted.length + 1)
    return there.subarray(0, readSync(fd, there, 0, there.length, 0)).equals(wanted)
  } finally {
    closeSync(fd)
  }
}

/** What is about to be written is ours as well as what was, should we not come to say which it is. */
async function intend(hashPath: string, hash: string, mode: number): Promise<void> {
  const [before = hash] = (await readIfThere(hashPath))?.trim().split('\n') ?? []
  if (before !== hash) await replaceFile(hashPath, `${hash}\n${before}`, mode)
}

/**
 * Gives a file that is there another text, in one write: it is never empty or half. What is longer is blank lines, which
 * mean nothing in such files, until it is cut off. Returns false where there is no file.
 */
async function overwrite(path: string, text: string): Promise<boolean> {
  await using file = await openIfThere(path)
  if (file === undefined) return false
  const { size } = await file.stat()
  const bytes = Buffer.from(text)
  await writeAt(file, Buffer.concat([bytes, Buffer.alloc(Math.max(0, size - bytes.length), '\n')]))
  if (size > bytes.length) await file.truncate(bytes.length)
  return true
}

async function writeAt(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, offset, bytes.length - offset, offset)
    offset += bytesWritten
  }
}

/** A file that was not cut off; see {@link overwrite}. */
function withoutPadding(text: string): string {
  return text.replace(/\n+$/, '\n')
}

let latest: { readonly content: string; readonly hash: string } | undefined

/** In many sandboxes resolv.conf says the same. */
function hashOf(content: string): string {
  if (content !== latest?.content) {
    latest = { content, hash: `sha256:${createHash('sha256').update(content).digest('hex')}` }
  }
  return latest.hash
}

/** Whole or not at all, of what no container has mounted yet, or ever: half a hash would be worse than the one before. */
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

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    if (isAbsence(error)) return undefined
    throw error
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isAbsence(error)) return undefined
    throw error
  }
}

function isAbsence(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
