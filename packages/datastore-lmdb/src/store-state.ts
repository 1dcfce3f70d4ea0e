import { openValue, sealValue } from '@net/datastore'

/** The format of the data file and of snapshots. */
export const FORMAT = 1

/** Key of the one record of the table `state`. */
export const STATE_KEY = Buffer.from('state')

/** What a store knows about itself, written with every commit. */
export interface StoreState {
  readonly format: number
  readonly revision: number
  /** Changes after this revision are in the log, without a gap. */
  readonly oldest: number
  /** Bytes of the log's records. */
  readonly logBytes: number
  /** Records in the table `entries`: what a walk over all of them has to find. */
  readonly entries: number
}

/** The state of a store that nobody has written to. */
export const EMPTY_STATE: StoreState = { format: FORMAT, revision: 0, oldest: 0, logBytes: 0, entries: 0 }

export function encodeState(state: StoreState): Uint8Array {
  return sealValue('state', Buffer.from(JSON.stringify(state)))
}

/** @throws `ERR_VALUE_DAMAGED` */
export function decodeState(bytes: Uint8Array): StoreState {
  return JSON.parse(Buffer.from(openValue('state', bytes)).toString()) as StoreState
}
