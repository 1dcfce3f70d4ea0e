import { open, type Database, type RootDatabase } from 'lmdb'

/** Bytes under bytes. */
export type Table = Database<Uint8Array, Buffer>

/** The tables of a store, in the order of their numbers in snapshots. A new one goes to the end. */
export const TABLE_NAMES = ['state', 'entries', 'leases', 'bound', 'log', 'aside'] as const

export type TableName = (typeof TABLE_NAMES)[number]

/** An open data file. */
export interface Tables {
  readonly root: RootDatabase<Uint8Array, Buffer>
  /** One record; its LMDB version is the count of commits, which writers compare and raise. */
  readonly state: Table
  /** Key to record: version, lease, value. */
  readonly entries: Table
  /** Lease id to expiry. */
  readonly leases: Table
  /** Lease id and key, for each entry that is bound to a lease. */
  readonly bound: Table
  /** Revision to what changed. */
  readonly log: Table
  /** Damaged records, as they were found. */
  readonly aside: Table
}

const BINARY = { encoding: 'binary', keyEncoding: 'binary' } as const

/** Opens a data file. One that may be damaged is not for this process: a damaged page can end it. */
export function openTables(file: string, readOnly: boolean): Tables {
  // A commit is visible once it is on the disk, not before.
  const root = open<Uint8Array, Buffer>({
    path: file,
    noSubdir: true,
    readOnly,
    overlappingSync: false,
    // Batching by turns makes promises that nobody holds: a full disk would end the process with one of them.
    eventTurnBatching: false,
    maxDbs: TABLE_NAMES.length,
    maxReaders: 1024,
    ...BINARY,
  })
  const table = (name: TableName): Table => root.openDB<Uint8Array, Buffer>({ name, ...BINARY })
  return {
    root,
    state: root.openDB<Uint8Array, Buffer>({ name: 'state', useVersions: true, ...BINARY }),
    entries: table('entries'),
    leases: table('leases'),
    bound: table('bound'),
    log: table('log'),
    aside: table('aside'),
  }
}
