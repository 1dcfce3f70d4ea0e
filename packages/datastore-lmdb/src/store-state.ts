import { openValue, SEAL_BYTES, sealInPlace, ValueDamagedError } from '@net/datastore'

/** The format of the data file and of snapshots. Files of format 1 are read, and become of this one when written. */
export const FORMAT = 2

/** Key of the one record of the table `state`. */
export const STATE_KEY = Buffer.from('state')

/** What a store knows about itself, written with every commit. */
export interface StoreState {
  readonly format: number
  readonly revision: number
  /** Changes after this revision are in the log or in `recent`, without a gap. */
  readonly oldest: number
  /** Bytes of the log's records, and of the recent ones. */
  readonly logBytes: number
  /** Records in the table `entries`: what a walk over all of them has to find. */
  readonly entries: number
  /** Records of the last changes, up to `revision`. They are on their way to the log, which is not written each time. */
  readonly recent: readonly Uint8Array[]
}

/** The state of a store that nobody has written to. */
export const EMPTY_STATE: StoreState = { format: FORMAT, revision: 0, oldest: 0, logBytes: 0, entries: 0, recent: [] }

/** Bytes of the length of the head. Its first one is 0, where a record of format 1 is sealed and begins with a 1. */
const LENGTH_BYTES = 4
/** Where the head's numbers begin: format (1 byte), revision, oldest, bytes of the log, entries (8 each). */
const NUMBERS_AT = LENGTH_BYTES + SEAL_BYTES
/** Where the lengths of the recent changes begin (4 bytes each). */
const LENGTHS_AT = NUMBERS_AT + 33

/** Length of the head (4 bytes), the head (sealed), and the recent changes, each with checksums of its own. */
export function encodeState({ revision, oldest, logBytes, entries, recent }: StoreState): Uint8Array {
  const headEnd = LENGTHS_AT + 4 * recent.length
  const record = Buffer.allocUnsafe(recent.reduce((end, { length }) => end + length, headEnd))
  record.writeUInt32BE(headEnd - LENGTH_BYTES)
  record.writeUInt8(FORMAT, NUMBERS_AT)
  record.writeDoubleBE(revision, NUMBERS_AT + 1)
  record.writeDoubleBE(oldest, NUMBERS_AT + 9)
  record.writeDoubleBE(logBytes, NUMBERS_AT + 17)
  record.writeDoubleBE(entries, NUMBERS_AT + 25)
  let at = headEnd
  recent.forEach((change, number) => {
    record.writeUInt32BE(change.length, LENGTHS_AT + 4 * number)
    record.set(change, at)
    at += change.length
  })
  sealInPlace('state', record.subarray(LENGTH_BYTES, headEnd))
  return record
}

/** The format that a record of a state is of, be it one that this version does not know. @throws `ERR_VALUE_DAMAGED` */
export function formatOf(record: Uint8Array): number {
  if (record[0] === 0) return headOf(record).readUInt8()
  return (JSON.parse(bufferOf(openValue('state', record)).toString()) as StoreState).format
}

/** @throws `ERR_VALUE_DAMAGED` */
export function decodeState(record: Uint8Array): StoreState {
  if (record[0] !== 0) {
    const state = JSON.parse(bufferOf(openValue('state', record)).toString()) as StoreState
    return { ...state, recent: [] }
  }
  const head = headOf(record)
  if (head.length < LENGTHS_AT - NUMBERS_AT) throw new ValueDamagedError('state', `${head.length} bytes are no head`)
  const lengths: number[] = []
  for (let at = LENGTHS_AT - NUMBERS_AT; at + 4 <= head.length; at += 4) lengths.push(head.readUInt32BE(at))
  return {
    format: head.readUInt8(),
    revision: head.readDoubleBE(1),
    oldest: head.readDoubleBE(9),
    logBytes: head.readDoubleBE(17),
    entries: head.readDoubleBE(25),
    recent: cut(record.subarray(NUMBERS_AT + head.length), lengths),
  }
}

function headOf(record: Uint8Array): Buffer {
  const length = record.length < LENGTH_BYTES ? 0 : bufferOf(record).readUInt32BE()
  return bufferOf(openValue('state', record.subarray(LENGTH_BYTES, LENGTH_BYTES + length)))
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  let at = 0
  const parts = lengths.map((length) => bytes.subarray(at, (at += length)))
  if (at !== bytes.length)
    throw new ValueDamagedError('state', `expected ${at} bytes of changes, found ${bytes.length}`)
  return parts
}

/** The record of a change that is recent; `undefined` where it is in the log, or gone. */
export function recentChange({ revision, recent }: StoreState, wanted: number): Uint8Array | undefined {
  return wanted > revision ? undefined : recent[recent.length - 1 - (revision - wanted)]
}
