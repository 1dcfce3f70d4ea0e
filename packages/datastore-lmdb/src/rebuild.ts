import { isNetError } from '@net/types'
import { rename, rm } from 'node:fs/promises'
import { commitErrorOf } from './commit-error.ts'
import type { StoreFolder } from './folder.ts'
import { END, type Frame } from './frames.ts'
import { boundKey, decodeEntry } from './records.ts'
import { decodeState, EMPTY_STATE, encodeState, STATE_KEY, type StoreState } from './store-state.ts'
import { syncFolder } from './sync-folder.ts'
import { openTables, TABLE_NAMES, type Tables } from './tables.ts'

/** Records of one commit. */
const BATCH = 500

/**
 * Builds a data file from records and puts it in the place of the one there, which goes. LMDB's own bookkeeping, which
 * cannot be checked from outside, is not taken over. Nothing has changed when this throws.
 *
 * @param amend - makes the new state of the old one
 */
export async function rebuild(
  folder: StoreFolder,
  frames: AsyncIterable<Frame>,
  amend: (state: StoreState) => StoreState,
): Promise<StoreState> {
  await removeFresh(folder)
  const state = await fill(folder, frames, amend).catch(async (error: unknown) => {
    await removeFresh(folder)
    throw await commitErrorOf(error)
  })
  await rm(folder.lock, { force: true })
  await rename(folder.fresh, folder.data)
  await rm(folder.freshLock, { force: true })
  await syncFolder(folder.path)
  return state
}

async function removeFresh(folder: StoreFolder): Promise<void> {
  await Promise.all([rm(folder.fresh, { force: true }), rm(folder.freshLock, { force: true })])
}

async function fill(
  folder: StoreFolder,
  frames: AsyncIterable<Frame>,
  amend: (state: StoreState) => StoreState,
): Promise<StoreState> {
  const tables = openTables(folder.fresh, false)
  try {
    let state = EMPTY_STATE
    for await (const batch of batches(frames)) {
      for (const frame of batch) if (TABLE_NAMES[frame.table] === 'state') state = decodeState(frame.value)
      await tables.root.batch(() => {
        for (const frame of batch) copy(tables, frame)
      })
    }
    state = amend(state)
    await tables.state.put(STATE_KEY, encodeState(state), 1)
    return state
  } finally {
    await tables.root.close()
  }
}

function copy(tables: Tables, { table, key, value }: Frame): void {
  const name = TABLE_NAMES[table]
  // What is bound to which lease is told by the entries themselves.
  if (name === undefined || name === 'state' || name === 'bound') return
  void tables[name].put(Buffer.from(key), Buffer.from(value))
  if (name !== 'entries') return
  const lease = leaseOf(key.toString(), value)
  if (lease !== undefined) void tables.bound.put(Buffer.from(boundKey(lease, key.toString())), new Uint8Array(1))
}

/** The lease that a record names, if it can be read. */
export function leaseOf(key: string, record: Uint8Array): string | undefined {
  try {
    return decodeEntry(key, record).lease
  } catch (error) {
    if (isNetError(error, 'ERR_VALUE_DAMAGED')) return undefined
    throw error
  }
}

async function* batches(frames: AsyncIterable<Frame>): AsyncGenerator<Frame[]> {
  let batch: Frame[] = []
  for await (const frame of frames) {
    if (frame.table === END) break
    batch.push(frame)
    if (batch.length < BATCH) continue
    yield batch
    batch = []
  }
  yield batch
}
