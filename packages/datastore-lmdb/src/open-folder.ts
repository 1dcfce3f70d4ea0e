import { InvalidStoreOptionError, StoreReadOnlyError, StoreUnavailableError, StoreVersionError } from '@net/datastore'
import { isNetError } from '@net/types'
import { access, mkdir } from 'node:fs/promises'
import { isClean, markClean, removeCleanMark } from './clean-mark.ts'
import { StoreDamagedError, StoreInUseError } from './errors.ts'
import type { StoreFolder } from './folder.ts'
import type { Frame } from './frames.ts'
import { passGate } from './gate.ts'
import {
  addHolder,
  appear,
  listHolders,
  removeHolders,
  removeLeftovers,
  type Holder,
  type HolderState,
  type Presence,
} from './holders.ts'
import type { ResolvedOptions } from './options.ts'
import { probe } from './probe.ts'
import { rebuild } from './rebuild.ts'
import { hasSnapshot } from './snapshot.ts'
import { FORMAT, formatOf, STATE_KEY } from './store-state.ts'
import { openTables, TABLE_NAMES, type Tables } from './tables.ts'

/** A folder whose data file is open, and known to be sound. */
export interface OpenFolder {
  readonly tables: Tables
  readonly hasSnapshot: boolean
  /** Closes the file; who is the last to do so marks it clean. */
  close(): Promise<void>
}

/** How a folder is to be opened; see `LmdbStoreOptions`. */
type Opening = Pick<ResolvedOptions, 'exclusive' | 'probeTimeoutMs'>

/** Opens a folder for writing, and makes it where there is none. */
export async function openFolder(
  folder: StoreFolder,
  opening: Opening,
  signal: AbortSignal | undefined,
): Promise<OpenFolder> {
  try {
    await makeFolder(folder.path)
    const own = await appear(folder)
    try {
      return await openAs(own, folder, opening, signal)
    } catch (error) {
      await own[Symbol.asyncDispose]()
      throw error
    }
  } catch (error) {
    if (isReadOnlyMedium(error)) throw new StoreReadOnlyError(folder.path, error)
    throw isNoFolder(error) ? new InvalidStoreOptionError('path', folder.path, 'a folder, or room for one') : error
  }
}

async function openAs(
  own: Presence,
  folder: StoreFolder,
  { exclusive, probeTimeoutMs }: Opening,
  signal: AbortSignal | undefined,
): Promise<OpenFolder> {
  await using _gate = await passGate(folder, own, signal)
  const holders = await holdersOf(folder)
  const alive = holders.filter(({ state }) => state === 'alive')
  if (exclusive && alive.length > 0) throw new StoreInUseError(folder.path, alive)
  await makeSound(folder, holders, probeTimeoutMs)
  await addHolder(folder, own.name)
  try {
    await removeCleanMark(folder)
    const tables = await openSound(folder, false)
    await removeHolders(folder, namesOf(holders, 'dead'))
    await removeLeftovers(folder, alive.length === 0)
    return { tables, hasSnapshot: await hasSnapshot(folder), close: () => closeFolder(folder, tables, own) }
  } catch (error) {
    await removeHolders(folder, [own.name])
    throw error
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch {
    // Node says ENOENT of a disk that cannot be written, where it is to make folders above as well.
    await mkdir(path, { mode: 0o700 })
  }
}

/** Opens a folder for reading, and leaves no mark in it. */
export async function openFolderToRead(folder: StoreFolder, probeTimeoutMs: number): Promise<OpenFolder> {
  if (!(await isThere(folder.data))) throw new StoreUnavailableError(folder.path, 'there is no store', 'none')
  const holders = await holdersOf(folder)
  if (namesOf(holders, 'alive').length === 0 && !(await isClean(folder))) await readThrough(folder, probeTimeoutMs)
  const tables = await openSound(folder, true)
  return { tables, hasSnapshot: await hasSnapshot(folder), close: () => tables.root.close() }
}

/** Has a file that was not closed as it should be read by another process first, and by this one only if that went well. */
async function makeSound(folder: StoreFolder, holders: readonly Holder[], probeTimeoutMs: number): Promise<void> {
  if (!(await isThere(folder.data))) {
    if (await hasSnapshot(folder)) throw new StoreDamagedError(folder.data, folder.snapshot, 'the file is gone')
    return
  }
  const isHeld = namesOf(holders, 'alive').length > 0
  const hasDead = namesOf(holders, 'dead').length > 0
  if (isHeld) {
    // Others work with it: it cannot be replaced under their hands.
    if (hasDead) await readThrough(folder, probeTimeoutMs)
  } else if (hasDead || !(await isClean(folder))) {
    await takeOver(folder, probeTimeoutMs)
  }
}

/** Rebuilds the file from its records; where there is no room for a second one, it has to do that it could be read. */
async function takeOver(folder: StoreFolder, probeTimeoutMs: number): Promise<void> {
  try {
    await rebuild(folder, refuseNewer(folder, probe(folder, probeTimeoutMs)), (state) => state)
  } catch (error) {
    if (isNetError(error)) throw error
    await readThrough(folder, probeTimeoutMs)
  }
}

async function readThrough(folder: StoreFolder, probeTimeoutMs: number): Promise<void> {
  const frames = refuseNewer(folder, probe(folder, probeTimeoutMs))
  while ((await frames.next()).done !== true);
}

/** Passes frames on, unless they are of a format that this version does not know. */
async function* refuseNewer(folder: StoreFolder, frames: AsyncIterable<Frame>): AsyncGenerator<Frame> {
  for await (const frame of frames) {
    if (TABLE_NAMES[frame.table] === 'state') checkFormat(folder, frame.value)
    yield frame
  }
}

async function openSound(folder: StoreFolder, readOnly: boolean): Promise<Tables> {
  const tables = openTables(folder.data, readOnly)
  try {
    const state = tables.state.get(STATE_KEY)
    if (state !== undefined) checkFormat(folder, state)
    return tables
  } catch (error) {
    await tables.root.close()
    throw error
  }
}

function checkFormat(folder: StoreFolder, state: Uint8Array): void {
  const format = formatOf(state)
  if (format > FORMAT) throw new StoreVersionError(folder.path, format, FORMAT)
}

async function closeFolder(folder: StoreFolder, tables: Tables, own: Presence): Promise<void> {
  await tables.root.close()
  await using _own = own
  await using _gate = await passGate(folder, own)
  await removeHolders(folder, [own.name])
  if ((await listHolders(folder)).length > 0) return
  // On a full disk there is no mark: the next to open the store reads it through, and finds it sound.
  await markClean(folder).catch(() => undefined)
}

/** Who holds the store. @throws StoreInUseError (`ERR_STORE_IN_USE`): LMDB tells by their numbers who still reads */
async function holdersOf(folder: StoreFolder): Promise<readonly Holder[]> {
  const holders = await listHolders(folder)
  const elsewhere = holders.filter(({ state }) => state === 'elsewhere')
  if (elsewhere.length > 0) throw new StoreInUseError(folder.path, elsewhere)
  return holders
}

function namesOf(holders: readonly Holder[], wanted: HolderState): string[] {
  return holders.filter(({ state }) => state === wanted).map(({ name }) => name)
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}

/** Something else is at the path, or on the way to it. */
function isNoFolder(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOTDIR' || code === 'EEXIST'
}

function isReadOnlyMedium(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'EACCES' || code === 'EROFS' || code === 'EPERM'
}
