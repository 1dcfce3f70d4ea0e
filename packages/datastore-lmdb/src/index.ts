/**
 * A store in a folder, for one machine: LMDB.
 *
 * @packageDocumentation
 */

export { NoSnapshotError, StoreDamagedError, StoreInUseError } from './errors.ts'
export type { LmdbStore } from './lmdb-store.ts'
export { openLmdbStore } from './open-lmdb-store.ts'
export type { LmdbStoreOptions } from './options.ts'
export { restoreLmdbStore, type RestoreOptions, type RestoreReport } from './restore.ts'
export type { DamagedRecord } from './set-aside.ts'
