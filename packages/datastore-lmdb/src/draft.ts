import type { StoreEvent } from '@net/datastore'
import { rangeOf } from './key-range.ts'
import { boundKey, encodeChange, logKey } from './records.ts'
import { asideKey, type DamagedRecord } from './set-aside.ts'
import { decodeState, EMPTY_STATE, encodeState, STATE_KEY, type StoreState } from './store-state.ts'
import type { Table, Tables } from './tables.ts'

/** How much of the past a log keeps, whichever is reached first. */
export interface HistoryLimits {
  readonly changes: number
  readonly bytes: number
}

/** A state, and the LMDB version of the record that it was written in. */
export interface KnownState {
  readonly version: number
  readonly state: StoreState
}

/** The tables that a plan reads and writes, by keys that are texts. */
type DraftTable = 'entries' | 'leases' | 'bound'

/** A record of a table, as it will be. */
interface Row {
  readonly key: Buffer
  value: Uint8Array | undefined
  isWritten: boolean
}

/**
 * What one commit will write, on top of what is stored: read through it, and later steps see the earlier ones. Each
 * record is read once.
 */
export class Draft {
  readonly #tables: Tables
  readonly #limits: HistoryLimits
  /** The LMDB version of the state that this draft builds on; 0 in a store that has none yet. */
  readonly #base: number
  readonly #rows = { entries: new Map<string, Row>(), leases: new Map<string, Row>(), bound: new Map<string, Row>() }
  /** Changes by revision; those without a record go. */
  readonly #log = new Map<number, Uint8Array | undefined>()
  readonly #aside: DamagedRecord[] = []
  #isEmpty = true
  #state: StoreState
  /** How many entries are added, less those that go. */
  #added = 0

  /** @param last - what was committed last: where nobody else wrote since, it need not be decoded anew */
  constructor(tables: Tables, limits: HistoryLimits, last?: KnownState) {
    this.#tables = tables
    this.#limits = limits
    tables.root.resetReadTxn()
    const entry = tables.state.getEntry(STATE_KEY)
    this.#base = entry?.version ?? 0
    if (entry === undefined) this.#state = EMPTY_STATE
    else this.#state = last !== undefined && last.version === entry.version ? last.state : decodeState(entry.value)
  }

  get revision(): number {
    return this.#state.revision
  }

  /** What there is once this is committed. */
  get next(): KnownState {
    const { format, revision, oldest, logBytes, entries } = this.#state
    const state = { format, revision, oldest, logBytes, entries: entries + this.#added }
    return { version: this.#base + 1, state }
  }

  /** Bytes to be written, without what LMDB adds. */
  get size(): number {
    let size = 0
    for (const rows of Object.values(this.#rows)) for (const { value } of rows.values()) size += value?.length ?? 0
    for (const change of this.#log.values()) size += change?.length ?? 0
    for (const { bytes } of this.#aside) size += bytes.length
    return size
  }

  get isEmpty(): boolean {
    return this.#isEmpty
  }

  get(table: DraftTable, key: string): Uint8Array | undefined {
    return this.#row(table, key).value
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

  /** Adds a change to the log, as the next revision, and takes the oldest ones off its other end. */
  log(events: readonly StoreEvent[]): void {
    const revision = this.#state.revision + 1
    const record = encodeChange(events)
    this.#log.set(revision, record)
    this.#isEmpty = false
    let { oldest, logBytes } = this.#state
    logBytes += record.length
    while (oldest < revision - 1 && (revision - oldest > this.#limits.changes || logBytes > this.#limits.bytes)) {
      const change = this.#log.get(++oldest) ?? this.#tables.log.get(logKey(oldest))
      logBytes -= change?.length ?? 0
      this.#log.set(oldest, undefined)
    }
    const { format, entries } = this.#state
    this.#state = { format, revision, oldest, logBytes, entries }
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
      const { version, state: next } = this.next
      void state.put(STATE_KEY, encodeState(next), version)
    }
    return this.#base === 0 ? state.ifNoExists(STATE_KEY, write) : state.ifVersion(STATE_KEY, this.#base, write)
  }

  #row(table: DraftTable, name: string): Row {
    const known = this.#rows[table].get(name)
    if (known !== undefined) return known
    const key = Buffer.from(name)
    const row = { key, value: this.#tables[table].get(key), isWritten: false }
    this.#rows[table].set(name, row)
    return row
  }

  #write(table: DraftTable, key: string, value: Uint8Array | undefined): void {
    const row = this.#row(table, key)
    if (table === 'entries') this.#added += Number(value !== undefined) - Number(row.value !== undefined)
    row.value = value
    row.isWritten = true
    this.#isEmpty = false
  }
}

function put(table: Table, key: Buffer, value: Uint8Array | undefined): void {
  void (value === undefined ? table.remove(key) : table.put(key, value))
}
