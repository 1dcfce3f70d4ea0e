import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { StoreDamagedError } from './errors.ts'
import type { StoreFolder } from './folder.ts'
import { decodeFrames, type Frame } from './frames.ts'
import { hasSnapshot } from './snapshot.ts'
import { TABLE_NAMES } from './tables.ts'
import { verifyFrames } from './verify-frames.ts'

/** The same file from the sources and from what is built of them, which lie in folders side by side. */
const CHILD = fileURLToPath(new URL('../src/probe-child.mjs', import.meta.url))

/**
 * All records of a data file, read by a child process and verified.
 *
 * @param silenceMs - a child that says nothing for so long has lost its way in the file
 * @throws `ERR_STORE_DAMAGED`
 */
export async function* probe(folder: StoreFolder, silenceMs: number): AsyncGenerator<Frame> {
  const child = spawn(process.execPath, [CHILD, folder.data, ...TABLE_NAMES], { stdio: ['ignore', 'pipe', 'pipe'] })
  const exit = once(child, 'exit') as Promise<[code: number | null, signal: string | null]>
  let complaint = ''
  child.stderr.on('data', (text: Buffer) => (complaint = `${complaint}${text.toString()}`.slice(-500)))
  try {
    const chunks = untilSilent(child.stdout, silenceMs, () => {
      complaint = `it could not be read within ${silenceMs} ms`
      child.kill('SIGKILL')
    })
    yield* verifyFrames(decodeFrames(chunks))
  } catch (cause) {
    child.kill('SIGKILL')
    await exit
    const why = [cause instanceof Error ? cause.message : String(cause), complaint.trim()].filter((text) => text !== '')
    const snapshot = (await hasSnapshot(folder)) ? folder.snapshot : undefined
    throw new StoreDamagedError(folder.data, snapshot, why.join('; '), cause)
  } finally {
    // Also when the reader stops early: nothing is left behind.
    child.kill('SIGKILL')
    await exit
  }
}

/** What a stream gives; calls `giveUp` when that takes too long, which ends the stream. */
async function* untilSilent(
  stream: AsyncIterable<Buffer>,
  silenceMs: number,
  giveUp: () => void,
): AsyncGenerator<Buffer> {
  const chunks = stream[Symbol.asyncIterator]()
  for (;;) {
    const timer = setTimeout(giveUp, silenceMs)
    const result = await chunks.next().finally(() => {
      clearTimeout(timer)
    })
    if (result.done === true) return
    yield result.value
  }
}
