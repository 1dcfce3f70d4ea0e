import type { CallOptions } from '@net/types'
import { link } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { removeCleanMark, markClean } from './clean-mark.ts'
import { StoreInUseError } from './errors.ts'
import { storeFolder, type StoreFolder } from './folder.ts'
import type { Frame } from './frames.ts'
import { passGate } from './gate.ts'
import { appear, listHolders, removeHolders, removeLeftovers } from './holders.ts'
import { rebuild } from './rebuild.ts'
import { readSnapshot } from './snapshot.ts'
import type { StoreState } from './store-state.ts'
import { TABLE_NAMES } from './tables.ts'

/** Which store to restore. */
export interface RestoreOptions {
  /** The store's folder. */
  readonly path: string
}

/** What a store was restored to. */
export interface RestoreReport {
  readonly entries: number
  /** The revision of the snapshot. The store goes on far above it, so that no version is given twice. */
  readonly revision: number
  /** Where the damaged file lies now; absent when there was none. */
  readonly damagedFile: string | undefined
}

/** More transactions than lie between a snapshot and the crash behind it. */
const REVISION_LEAP = 2 ** 32

/**
 * Goes back to the snapshot of a store whose file is damaged. The file is kept under a dated name; what was written
 * after the snapshot is only in there.
 *
 * @throws `ERR_NO_SNAPSHOT`, `ERR_STORE_IN_USE`
 */
export async function restoreLmdbStore({ path }: RestoreOptions, call?: CallOptions): Promise<RestoreReport> {
  call?.signal?.throwIfAborted()
  const folder = storeFolder(resolve(path))
  await using own = await appear(folder)
  await using _gate = await passGate(folder, own, call?.signal)
  const holders = await listHolders(folder)
  const left = holders.filter(({ state }) => state !== 'dead')
  if (left.length > 0) throw new StoreInUseError(path, left)
  const damagedFile = await replace(folder)
  await removeHolders(folder, holders.map(({ name }) => name)) // prettier-ignore
  await removeLeftovers(folder, true)
  return damagedFile
}

async function replace(folder: StoreFolder): Promise<RestoreReport> {
  // Read to the end first: its checksum is there.
  const counts = { entries: 0 }
  for await (const frame of readSnapshot(folder)) if (isEntry(frame)) counts.entries++
  const damagedFile = await keepAside(folder)
  await removeCleanMark(folder)
  let revision = 0
  await rebuild(folder, readSnapshot(folder), (state): StoreState => {
    revision = state.revision
    const leapt = state.revision + REVISION_LEAP
    return { ...state, revision: leapt, oldest: leapt, logBytes: 0, entries: counts.entries, recent: [] }
  })
  await markClean(folder)
  return { entries: counts.entries, revision, damagedFile }
}

function isEntry({ table }: Frame): boolean {
  return TABLE_NAMES[table] === 'entries'
}

/** Gives the file a second name, which stays when another file takes its place. */
async function keepAside(folder: StoreFolder): Promise<string | undefined> {
  const aside = join(folder.path, `damaged-${new Date().toISOString().replaceAll(':', '-')}.mdb`)
  try {
    await link(folder.data, aside)
    return aside
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
