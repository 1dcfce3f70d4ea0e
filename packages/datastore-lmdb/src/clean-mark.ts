import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { StoreFolder } from './folder.ts'

/** What a data file was when the last holder closed it. */
interface CleanMark {
  readonly size: number
  readonly crc: number
}

/** Bytes that are read at once. */
const CHUNK_BYTES = 2 ** 20

/** Remembers what the data file is, now that nobody writes to it any more. */
export async function markClean(folder: StoreFolder): Promise<void> {
  const file = `${folder.clean}.new`
  await writeFile(file, JSON.stringify(await markOf(folder.data)))
  await rename(file, folder.clean)
}

/** Whether the data file is to the bit what the last holder left when it closed the store. */
export async function isClean(folder: StoreFolder): Promise<boolean> {
  const text = await readFile(folder.clean, 'utf8').catch(() => undefined)
  return text !== undefined && text === JSON.stringify(await markOf(folder.data))
}

/** The file is about to be written to. A mark that survives a crash does no harm: it does not fit the file. */
export async function removeCleanMark(folder: StoreFolder): Promise<void> {
  await rm(folder.clean, { force: true })
}

async function markOf(file: string): Promise<CleanMark> {
  const mark = { size: 0, crc: 0 }
  // One buffer for all of it: a stream would take a new one each time, and have the collector busy with them.
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  const handle = await open(file)
  try {
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, mark.size)
      if (bytesRead === 0) return mark
      mark.size += bytesRead
      mark.crc = crc32(buffer.subarray(0, bytesRead), mark.crc)
    }
  } finally {
    await handle.close()
  }
}
