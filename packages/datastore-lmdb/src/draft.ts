import type { StoreEvent } from '@net/datastore'
import { isNetError } from '@net/types'
import { getLastVersion } from 'lmdb'
import { Known, type Row } from './known.ts'
import { rangeOf } from './key-range.ts'
import { boundKey, decodeEntry, encodeChange, logKey, type EntryRecord } from './records.ts'
import { asideKey, type DamagedRecord } from './set-aside.ts'
import { decodeState, EMPTY_STATE, encodeState, STATE_KEY, type StoreState } from './store-state.ts'
import type { Table, Tables } from './tables.ts'

/** How much of the past a log keeps, whichever is reached first. */
export interface HistoryLimits {
  readonly changes: number
  readonly bytes: number
}

/** Bytes of changes that are written with the state, rather than to the log: each table takes pages of its own. */
const RECENT_BYTES = 2048
/** Of what a history holds, this part at most is recent. */
const RECENT_PART = 16

/** The tables that a plan reads and writes, by keys that are texts. */
type DraftTable = 'entries' | 'leases' | 'bound'

/**
 * What one commit will write, on top of what is stored: read through it, and later steps see the earlier ones. Each
 * record is read once.
 */
export class Draft {
  readonly #tables: Tables
  readonly #limits: HistoryLimits
  /** The LMDB version of the state that this draft builds on; 0 in a store that has none yet. */
  readonly #base: number
  /** What is known of that version. */
  readonly #known: Known | undefined
  readonly #rows = { entries: new Map<string, Row>(), leases: new Map<string, Row>(), bound: new Map<string, Row>() }
  /** Changes by revision; those without a record go. */
  readonly #log = new Map<number, Uint8Array | undefined>()
  readonly #aside: DamagedRecord[] = []
  #isEmpty = true
  #state: StoreState
  /** How many entries are added, less those that go. */
  #added = 0

  /** @param last - what was known last: where somebody else wrote since, it is forgotten */
  constructor(tables: Tables, limits: HistoryLimits, last?: Known) {
    this.#tables = tables
    this.#limits = limits
    tables.root.resetReadTxn()
    // Only whether it is there: what lmdb-js hands out here is a buffer that the next read overwrites.
    const isThere = tables.state.getBinaryFast(STATE_KEY) !== undefined
    this.#base = isThere ? getLastVersion() : 0
    this.#known = last?.version === this.#base ? last : undefined
    this.#state = this.#known?.state ?? readState(tables)
  }

  get revision(): number {
    return this.#state.revision
  }

  /** What is known now that this is committed. What was known before is taken over by it. */
  committed(): Known {
    const known = new Known(this.#base + 1, this.#nextState, this.#rows.entries, this.#known)
    // What was found damaged is not what it is known as.
    for (const { key } of this.#aside) if (!this.#rows.entries.has(key)) known.forget(key)
    return known
  }

  /** Bytes to be written, without what LMDB adds. */
  get size(): number {
    let size = 0
    for (const rows of Object.values(this.#rows)) for (const { value } of rows.values()) size += value?.length ?? 0
    for (const change of [...this.#log.values(), ...this.#state.recent]) size += change?.length ?? 0
    for (const { bytes } of this.#aside) size += bytes.length
    return size
  }

  get isEmpty(): boolean {
    return this.#isEmpty
  }

  get(table: DraftTable, key: string): Uint8Array | undefined {
    return this.#row(table, key).value
  }

  /** What lies under a key: `damaged` where it cannot be read. */
  entry(key: string): EntryRecord | 'damaged' | undefined {
    const row = this.#row('entries', key)
    if (row.value === undefined) return undefined
    return (row.entry ??= readEntry(key, row.value))
  }

  /** Keys of the entries that are bound to a lease, `limit` at most. */
  boundKeys(lease: string, limit: number): string[] {
    const prefix = boundKey(lease, '')
    const keys = [...this.#rows.bound]
      .filter(([name, { value }]) => value !== undefined && name.startsWith(prefix))
      .map(([name]) => name)
    for (const key of this.#tables.bound.getKeys(rangeOf(prefix))) {
      if (keys.length >= limit) break
      const name = key.toString()
      if (!this.#rows.bound.has(name)) keys.push(name)
    }
    return keys.slice(0, limit).map((name) => name.slice(prefix.length))
  }

  put(table: DraftTable, key: string, value: Uint8Array): void {
    this.#write(table, key, value)
  }

  remove(table: DraftTable, key: string): void {
    this.#write(table, key, undefined)
  }

  /** Keeps a damaged record as it was found. */
  setAside({ key, bytes }: DamagedRecord): void {
    this.#aside.push({ key, bytes: new Uint8Array(bytes) })
    this.#isEmpty = false
  }

  /** Adds a change, as the next revision. */
  log(events: readonly StoreEvent[]): void {
    const { format, revision, oldest, logBytes, entries, recent } = this.#state
    const record = encodeChange(events)
    const bytes = logBytes + record.length
    this.#state = { format, revision: revision + 1, oldest, logBytes: bytes, entries, recent: [...recent, record] }
    this.#isEmpty = false
    if (this.#isTooMuch(this.#state.recent)) this.#moveToLog()
  }

  /** A history that is to be short is not lengthened by what is recent. */
  #isTooMuch(recent: readonly Uint8Array[]): boolean {
    const { changes, bytes } = this.#limits
    const limit = Math.min(RECENT_BYTES, bytes / RECENT_PART)
    return recent.length > changes / RECENT_PART || recent.reduce((sum, { length }) => sum + length, 0) > limit
  }

  /** Puts the recent changes into the log, and takes the oldest ones off its other end. */
  #moveToLog(): void {
    const { format, revision, entries, recent } = this.#state
    let { oldest, logBytes } = this.#state
    recent.forEach((record, at) => this.#log.set(revision - recent.length + 1 + at, record))
    while (oldest < revision - 1 && (revision - oldest > this.#limits.changes || logBytes > this.#limits.bytes)) {
      const change = this.#log.get(++oldest) ?? this.#tables.log.get(logKey(oldest))
      logBytes -= change?.length ?? 0
      this.#log.set(oldest, undefined)
    }
    this.#state = { format, revision, oldest, logBytes, entries, recent: [] }
  }

  /**
   * Writes it all, or nothing. Resolves to false when somebody else wrote since the draft was begun: then it is void.
   * The comparison and the writes are one transaction on LMDB's own thread.
   */
  commit(): Promise<boolean> {
    const { state, log, aside } = this.#tables
    const write = (): void => {
      for (const [name, rows] of Object.entries(this.#rows)) {
        const table = this.#tables[name as DraftTable]
        for (const { key, value, isWritten } of rows.values()) if (isWritten) put(table, key, value)
      }
      for (const [revision, change] of this.#log) put(log, logKey(revision), change)
      for (const { key, bytes } of this.#aside) put(aside, asideKey(key, bytes), bytes)
      void state.put(STATE_KEY, encodeState(this.#nextState), this.#base + 1)
    }
    return this.#base === 0 ? state.ifNoExists(STATE_KEY, write) : state.ifVersion(STATE_KEY, this.#base, write)
  }

  get #nextState(): StoreState {
    const { format, revision, oldest, logBytes, entries, recent } = this.#state
    return { format, revision, oldest, logBytes, entries: entries + this.#added, recent }
  }

  #row(table: DraftTable, name: string): Row {
    let row = this.#rows[table].get(name)
    if (row !== undefined) return row
    row = (table === 'entries' ? this.#known?.entry(name) : undefined) ?? this.#read(table, name)
    this.#rows[table].set(name, row)
    return row
  }

  #read(table: DraftTable, name: string): Row {
    const key = Buffer.from(name)
    return { key, value: this.#tables[table].get(key), isWritten: false }
  }

  #write(table: DraftTable, key: string, value: Uint8Array | undefined): void {
    const row = this.#row(table, key)
    if (table === 'entries') this.#added += Number(value !== undefined) - Number(row.value !== undefined)
    row.value = value
    row.entry = undefined
    row.isWritten = true
    this.#isEmpty = false
  }
}

function readState({ state }: Tables): StoreState {
  const record = state.get(STATE_KEY)
  return record === undefined ? EMPTY_STATE : decodeState(record)
}

function readEntry(key: string, record: Uint8Array): EntryRecord | 'damaged' {
  try {
    return decodeEntry(key, record)
  } catch (error) {
    if (isNetError(error, 'ERR_VALUE_DAMAGED')) return 'damaged'
    throw error
  }
}

function put(table: Table, key: Buffer, value: Uint8Array | undefined): void {
  void (value === undefined ? table.remove(key) : table.put(key, value))
}
