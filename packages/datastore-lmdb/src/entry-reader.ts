import {
  ValueDamagedError,
  type ListOptions,
  type StoreEntry,
  type StoreEvent,
  type StoreListing,
} from '@net/datastore'
import { isNetError, type Turns } from '@net/types'
import { rangeOf } from './key-range.ts'
import { isLeaseAlive } from './plan-transaction.ts'
import { decodeChange, decodeEntry, logKey } from './records.ts'
import { decodeState, EMPTY_STATE, recentChange, STATE_KEY, type StoreState } from './store-state.ts'
import type { DamagedRecord } from './set-aside.ts'
import type { Tables } from './tables.ts'

/** Entries that are read between two looks at the clock. */
const STEP = 16

type Transaction = ReturnType<Tables['root']['useReadTransaction']>

/** A listing, with the damaged records themselves. */
export interface ReadListing {
  readonly listing: StoreListing
  readonly damaged: readonly DamagedRecord[]
}

/** Reads the latest that any process has committed. */
export class EntryReader {
  readonly #tables: Tables
  readonly #turns: Turns

  constructor(tables: Tables, turns: Turns) {
    this.#tables = tables
    this.#turns = turns
  }

  state(): StoreState {
    this.#tables.root.resetReadTxn()
    const state = this.#tables.state.get(STATE_KEY)
    return state === undefined ? EMPTY_STATE : decodeState(state)
  }

  /** The record of a key as it is stored. */
  record(key: string): Uint8Array | undefined {
    this.#tables.root.resetReadTxn()
    return this.#tables.entries.get(Buffer.from(key))
  }

  /** @throws `ERR_VALUE_DAMAGED` */
  entry(key: string): StoreEntry | undefined {
    const record = this.record(key)
    return record === undefined ? undefined : this.#visible(key, record, undefined)
  }

  async list(prefix: string, { after, limit = Infinity, signal }: ListOptions): Promise<ReadListing> {
    this.#tables.root.resetReadTxn()
    const transaction = this.#tables.root.useReadTransaction()
    try {
      const state = this.#tables.state.get(STATE_KEY, { transaction })
      const entries: StoreEntry[] = []
      const damaged: DamagedRecord[] = []
      let more = false
      for (const { key: bytes, value: record } of this.#tables.entries.getRange({
        ...rangeOf(prefix, after),
        transaction,
      })) {
        const key = bytes.toString()
        const found = this.#tryVisible(key, record, transaction)
        if (found === undefined) continue
        more = entries.length + damaged.length >= limit
        if (more) break
        if (found === 'damaged') damaged.push({ key, bytes: Uint8Array.from(record) })
        else entries.push(found)
        if ((entries.length + damaged.length) % STEP === 0) await this.#turns.take({ signal })
      }
      const revision = state === undefined ? 0 : decodeState(state).revision
      return { listing: { entries, damaged: damaged.map(({ key }) => key), revision, more }, damaged }
    } finally {
      transaction.done()
    }
  }

  /** What a transaction changed, given the latest state; `undefined` where it cannot be read, or not any more. */
  change(state: StoreState, revision: number): StoreEvent[] | undefined {
    const record = recentChange(state, revision) ?? this.#tables.log.get(logKey(revision))
    if (record === undefined) return undefined
    try {
      return decodeChange(revision, record)
    } catch (error) {
      if (isNetError(error, 'ERR_VALUE_DAMAGED')) return undefined
      throw error
    }
  }

  /** The leases that are over. */
  overdueLeases(now: number): string[] {
    this.#tables.root.resetReadTxn()
    return [...this.#tables.leases.getRange({ snapshot: false })]
      .map(({ key, value }) => ({ id: key.toString(), value }))
      .filter(({ id, value }) => !isLeaseAlive(id, value, now))
      .map(({ id }) => id)
  }

  #tryVisible(key: string, record: Uint8Array, transaction: Transaction): StoreEntry | 'damaged' | undefined {
    try {
      return this.#visible(key, record, transaction)
    } catch (error) {
      if (error instanceof ValueDamagedError) return 'damaged'
      throw error
    }
  }

  /** The entry, unless its lease is over. */
  #visible(key: string, record: Uint8Array, transaction: Transaction | undefined): StoreEntry | undefined {
    const { version, lease, value } = decodeEntry(key, record)
    if (lease !== undefined) {
      const options = transaction === undefined ? {} : { transaction }
      if (!isLeaseAlive(lease, this.#tables.leases.get(Buffer.from(lease), options), Date.now())) return undefined
    }
    return { key, value, version }
  }
}
