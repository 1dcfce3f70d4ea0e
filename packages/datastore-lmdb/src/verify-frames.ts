import { isNetError } from '@net/types'
import { END, type Frame } from './frames.ts'
import { isOfKey } from './records.ts'
import { decodeState, type StoreState } from './store-state.ts'
import { TABLE_NAMES } from './tables.ts'

const STATE = TABLE_NAMES.indexOf('state')
const ENTRIES = TABLE_NAMES.indexOf('entries')
const LOG = TABLE_NAMES.indexOf('log')

/**
 * Passes on the frames of a data file, the state first, and throws when they are not all that the store had: keys out
 * of order, keys changed, or not as many as the state counts. Damaged values pass: they are found when they are read.
 */
export async function* verifyFrames(frames: AsyncIterable<Frame>): AsyncGenerator<Frame> {
  const counts = new Map<number, number>()
  let state: StoreState | undefined
  let last: Frame | undefined
  for await (const frame of frames) {
    if (last?.table === frame.table && Buffer.compare(last.key, frame.key) >= 0)
      throw new RangeError('keys out of order')
    if (frame.table === STATE) state = readState(frame)
    if (state === undefined) throw new RangeError('there is no state')
    if (frame.table === ENTRIES && !isOfKey(frame.key.toString(), frame.value))
      throw new RangeError('a key was changed')
    if (frame.table === END) checkCounts(state, counts)
    counts.set(frame.table, (counts.get(frame.table) ?? 0) + 1)
    last = frame
    yield frame
  }
}

function readState(frame: Frame): StoreState {
  try {
    return decodeState(frame.value)
  } catch (cause) {
    if (isNetError(cause, 'ERR_VALUE_DAMAGED')) throw new RangeError('the state cannot be read', { cause })
    throw cause
  }
}

function checkCounts(state: StoreState, counts: ReadonlyMap<number, number>): void {
  const entries = counts.get(ENTRIES) ?? 0
  const changes = (counts.get(LOG) ?? 0) + state.recent.length
  if (entries !== state.entries) throw new RangeError(`expected ${state.entries} entries, found ${entries}`)
  if (changes !== state.revision - state.oldest)
    throw new RangeError(`expected ${state.revision - state.oldest} changes, found ${changes}`)
}
