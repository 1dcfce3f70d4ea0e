import type { Turns } from '@net/types'
import { randomId, shortId } from '@net/types'
import { createReadStream } from 'node:fs'
import { access, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { NoSnapshotError } from './errors.ts'
import type { StoreFolder } from './folder.ts'
import { decodeFrames, encodeFrame, END, type Frame } from './frames.ts'
import { leaseOf } from './rebuild.ts'
import { STATE_KEY } from './store-state.ts'
import { syncFolder } from './sync-folder.ts'
import { TABLE_NAMES, type Tables } from './tables.ts'

/** Bytes that are collected before they are written. */
const CHUNK_BYTES = 256 * 1024
const STATE = TABLE_NAMES.indexOf('state')
const ENTRIES = TABLE_NAMES.indexOf('entries')
const ASIDE = TABLE_NAMES.indexOf('aside')

/** Whether there is a snapshot. */
export async function hasSnapshot(folder: StoreFolder): Promise<boolean> {
  return access(folder.snapshot).then(
    () => true,
    () => false,
  )
}

/**
 * Writes what the store holds at one moment into a file of its own: frames, and at the end a checksum over all of them.
 * The file takes the place of the last one once it is complete and on the disk. Entries bound to leases are left out:
 * their holders will not be there when the store is restored.
 */
export async function writeSnapshot(folder: StoreFolder, tables: Tables, turns: Turns): Promise<void> {
  const file = `${folder.snapshot}.${shortId(randomId())}`
  try {
    const handle = await open(file, 'wx', 0o600)
    try {
      await writeFrames(handle, tables, turns)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(file, folder.snapshot)
    await syncFolder(folder.path)
  } catch (error) {
    await rm(file, { force: true })
    throw error
  }
}

async function writeFrames(handle: FileHandle, tables: Tables, turns: Turns): Promise<void> {
  let checksum = 0
  let chunk: Buffer[] = []
  let bytes = 0
  const flush = async (): Promise<void> => {
    const written = Buffer.concat(chunk)
    checksum = crc32(written, checksum)
    chunk = []
    bytes = 0
    await handle.writeFile(written)
  }
  for (const frame of framesOf(tables)) {
    bytes += chunk[chunk.push(frame) - 1]?.length ?? 0
    if (bytes >= CHUNK_BYTES) await flush()
    await turns.take()
  }
  await flush()
  const end = Buffer.alloc(4)
  end.writeUInt32BE(checksum)
  await handle.writeFile(encodeFrame(END, Buffer.alloc(0), end))
}

function* framesOf(tables: Tables): Generator<Buffer> {
  tables.root.resetReadTxn()
  const transaction = tables.root.useReadTransaction()
  try {
    const state = tables.state.get(STATE_KEY, { transaction })
    if (state === undefined) return
    yield encodeFrame(STATE, STATE_KEY, state)
    for (const { key, value } of tables.entries.getRange({ transaction }))
      if (leaseOf(key.toString(), value) === undefined) yield encodeFrame(ENTRIES, key, value)
    for (const { key, value } of tables.aside.getRange({ transaction })) yield encodeFrame(ASIDE, key, value)
  } finally {
    transaction.done()
  }
}

/** The frames of a snapshot. @throws `ERR_NO_SNAPSHOT`, perhaps only behind the last frame: nothing counts before it */
export async function* readSnapshot(folder: StoreFolder): AsyncGenerator<Frame> {
  let checksum = 0
  let isFirst = true
  try {
    for await (const frame of decodeFrames(createReadStream(folder.snapshot) as AsyncIterable<Buffer>)) {
      if (isFirst && frame.table !== STATE) throw new RangeError('it does not begin with a state')
      if (frame.table === END && frame.value.readUInt32BE() !== checksum) throw new RangeError('the checksum differs')
      checksum = crc32(encodeFrame(frame.table, frame.key, frame.value), checksum)
      isFirst = false
      yield frame
    }
  } catch (cause) {
    throw new NoSnapshotError(folder.snapshot, cause instanceof Error ? cause.message : String(cause), cause)
  }
}
