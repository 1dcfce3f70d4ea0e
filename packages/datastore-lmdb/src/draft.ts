import type { StoreEvent } from '@net/datastore'
import { encodeChange, logKey } from './records.ts'
import { decodeState, EMPTY_STATE, encodeState, STATE_KEY, type StoreState } from './store-state.ts'
import type { TableName, Tables } from './tables.ts'

/** How much of the past a log keeps, whichever is reached first. */
export interface HistoryLimits {
  readonly changes: number
  readonly bytes: number
}

/** The tables that a draft writes to; the state it writes by itself. */
type DraftTable = Exclude<TableName, 'state'>

/** What one commit will write, on top of what is stored: read through it, and later steps see the earlier ones. */
export class Draft {
  readonly #tables: Tables
  readonly #limits: HistoryLimits
  /** The LMDB version of the state that this draft builds on; `undefined` in a store that has none yet. */
  readonly #base: number | undefined
  readonly #writes = new Map<string, { table: DraftTable; key: Buffer; value: Uint8Array | undefined }>()
  #state: StoreState

  constructor(tables: Tables, limits: HistoryLimits) {
    this.#tables = tables
    this.#limits = limits
    tables.root.resetReadTxn()
    const entry = tables.state.getEntry(STATE_KEY)
    this.#base = entry?.version
    this.#state = entry === undefined ? EMPTY_STATE : decodeState(entry.value)
  }

  get state(): StoreState {
    return this.#state
  }

  /** Bytes to be written, without what LMDB adds. */
  get size(): number {
    let size = 0
    for (const { value } of this.#writes.values()) size += value?.length ?? 0
    return size
  }

  get isEmpty(): boolean {
    return this.#writes.size === 0
  }

  get(table: DraftTable, key: Buffer): Uint8Array | undefined {
    const write = this.#writes.get(nameOf(table, key))
    return write === undefined ? this.#tables[table].get(key) : write.value
  }

  put(table: DraftTable, key: Buffer, value: Uint8Array): void {
    if (table === 'entries' && this.get(table, key) === undefined) this.#count(1)
    this.#writes.set(nameOf(table, key), { table, key, value })
  }

  remove(table: DraftTable, key: Buffer): void {
    if (table === 'entries' && this.get(table, key) !== undefined) this.#count(-1)
    this.#writes.set(nameOf(table, key), { table, key, value: undefined })
  }

  /** Adds a change to the log, as the next revision, and takes the oldest ones off its other end. */
  log(events: readonly StoreEvent[]): void {
    const revision = this.#state.revision + 1
    const record = encodeChange(events)
    this.put('log', logKey(revision), record)
    let { oldest, logBytes } = this.#state
    logBytes += record.length
    while (oldest < revision - 1 && (revision - oldest > this.#limits.changes || logBytes > this.#limits.bytes)) {
      const key = logKey(++oldest)
      logBytes -= this.get('log', key)?.length ?? 0
      this.remove('log', key)
    }
    this.#state = { ...this.#state, revision, oldest, logBytes }
  }

  /**
   * Writes it all, or nothing. Resolves to false when somebody else wrote since the draft was begun: then it is void.
   * The comparison and the writes are one transaction on LMDB's own thread.
   */
  commit(): Promise<boolean> {
    const { state } = this.#tables
    const write = (): void => {
      for (const { table, key, value } of this.#writes.values()) {
        const into = this.#tables[table]
        void (value === undefined ? into.remove(key) : into.put(key, value))
      }
      void state.put(STATE_KEY, encodeState(this.#state), (this.#base ?? 0) + 1)
    }
    return this.#base === undefined ? state.ifNoExists(STATE_KEY, write) : state.ifVersion(STATE_KEY, this.#base, write)
  }

  #count(change: number): void {
    this.#state = { ...this.#state, entries: this.#state.entries + change }
  }
}

function nameOf(table: DraftTable, key: Buffer): string {
  return `${table}/${key.toString('latin1')}`
}
