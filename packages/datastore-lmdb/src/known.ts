import type { EntryRecord } from './records.ts'
import type { StoreState } from './store-state.ts'

/** A record of a table, as it is or will be. */
export interface Row {
  readonly key: Buffer
  value: Uint8Array | undefined
  isWritten: boolean
  /** What the value says, where somebody asked for it. */
  entry?: EntryRecord | 'damaged' | undefined
}

/** Rows that are remembered at most, and how many bytes one of them may have. */
const ROWS = 64
const ROW_BYTES = 1024

/**
 * What this process wrote last, and what it read of entries to do so. It holds for as long as nobody else writes: the
 * state and the entries that every transaction checks need not be read and decoded for each.
 */
export class Known {
  /** The LMDB version of the state's record. */
  readonly version: number
  readonly state: StoreState
  readonly #rows: Map<string, Row>

  /** @param before - what was known of the version before, if anything */
  constructor(version: number, state: StoreState, rows: ReadonlyMap<string, Row>, before: Known | undefined) {
    this.version = version
    this.state = state
    // Taken over, not copied: whoever knows this version has no use for the one before.
    this.#rows = before === undefined ? new Map<string, Row>() : before.#rows
    for (const [name, row] of rows) this.#remember(name, row)
  }

  /** A row for a draft to change; `undefined` where the entry is not remembered. */
  entry(name: string): Row | undefined {
    const row = this.#rows.get(name)
    return row === undefined ? undefined : { key: row.key, value: row.value, isWritten: false, entry: row.entry }
  }

  /** Has the entry be read anew. */
  forget(name: string): void {
    this.#rows.delete(name)
  }

  /** The latest come last: the first go when there are too many. */
  #remember(name: string, row: Row): void {
    this.#rows.delete(name)
    if ((row.value?.length ?? 0) > ROW_BYTES) return
    this.#rows.set(name, row)
    const oldest = this.#rows.size > ROWS ? this.#rows.keys().next().value : undefined
    if (oldest !== undefined) this.#rows.delete(oldest)
  }
}
