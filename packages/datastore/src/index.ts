/**
 * A store's contract, a store in memory, and the suite that every store passes.
 *
 * @packageDocumentation
 */

export {
  LIMITS,
  type ListOptions,
  type PutOptions,
  type Store,
  type StoreChange,
  type StoreEntry,
  type StoreEvent,
  type StoreLease,
  type StoreListing,
  type StoreOperation,
  type WatchOptions,
  type WriteCondition,
} from './store.ts'
export { Collection, type CollectionEntry, type CollectionListing, type CollectionOptions } from './collection.ts'
export { checkKey, checkLimit, checkOperations, checkPrefix, checkTtl, checkValue, checkVersion } from './checks.ts'
export {
  DuplicateKeyError,
  HistoryLostError,
  InvalidKeyError,
  InvalidRecordError,
  InvalidStoreOptionError,
  KeyNotFoundError,
  NoSuchLeaseError,
  RecordRefusedError,
  StoreClosedError,
  StoreFullError,
  StoreReadOnlyError,
  StoreUnavailableError,
  StoreVersionError,
  TooManyOperationsError,
  TransactionTooLargeError,
  ValueDamagedError,
  ValueTooLargeError,
  VersionConflictError,
} from './errors.ts'
export { compareKeys } from './key-order.ts'
export { memoryStore, type MemoryStoreOptions } from './memory-store.ts'
export type { RecordForm, Schema } from './record-form.ts'
export { openValue, SEAL_BYTES, sealInPlace, sealValue } from './value-envelope.ts'
