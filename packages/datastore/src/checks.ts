import {
  DuplicateKeyError,
  InvalidKeyError,
  InvalidStoreOptionError,
  TooManyOperationsError,
  TransactionTooLargeError,
  ValueTooLargeError,
} from './errors.ts'
import { LIMITS, type StoreOperation } from './store.ts'

const encoder = new TextEncoder()
const scratch = new Uint8Array(LIMITS.keyBytes)

/** Refuses a key that not every store can hold. @throws `ERR_INVALID_KEY` */
export function checkKey(key: string): void {
  if (key === '') throw new InvalidKeyError(key, `expected 1 to ${LIMITS.keyBytes} bytes`)
  checkPrefix(key)
}

/** As {@link checkKey}, but may be empty: it stands for all keys then. @throws `ERR_INVALID_KEY` */
export function checkPrefix(prefix: string): void {
  if (typeof prefix !== 'string') throw new InvalidKeyError(String(prefix), 'expected a text')
  // Nearly every key is like that, and there is nothing more to say about it.
  if (prefix.length <= LIMITS.keyBytes && /^[\x20-\x7e]*$/.test(prefix)) return
  if (encoder.encodeInto(prefix, scratch).read < prefix.length)
    throw new InvalidKeyError(prefix, `expected ${LIMITS.keyBytes} bytes of UTF-8 at most`)
  if (prefix.includes('\0')) throw new InvalidKeyError(prefix, 'expected no NUL')
  if (/\p{Surrogate}/u.test(prefix)) throw new InvalidKeyError(prefix, 'expected no lone surrogate')
}

/** Refuses a value that not every store can hold. @throws `ERR_VALUE_TOO_LARGE`, `ERR_INVALID_STORE_OPTION` */
export function checkValue(key: string, value: Uint8Array): void {
  if (!(value instanceof Uint8Array)) throw new InvalidStoreOptionError('value', typeof value, 'a Uint8Array')
  if (value.length > LIMITS.valueBytes) throw new ValueTooLargeError(key, value.length)
}

/** Refuses a version that no entry can have. @throws `ERR_INVALID_STORE_OPTION` */
export function checkVersion(option: string, version: number | undefined): void {
  if (version !== undefined && (!Number.isSafeInteger(version) || version < 0))
    throw new InvalidStoreOptionError(option, version, 'a whole number, 0 or more')
}

/** Refuses a listing of no entries, or of a part of one. @throws `ERR_INVALID_STORE_OPTION` */
export function checkLimit(limit: number | undefined): void {
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 1))
    throw new InvalidStoreOptionError('limit', limit, 'a whole number, 1 or more')
}

/** Refuses a transaction that not every store can carry out. */
export function checkOperations(operations: readonly StoreOperation[]): void {
  if (operations.length === 0 || operations.length > LIMITS.operations)
    throw new TooManyOperationsError(operations.length)
  const keys = new Set<string>()
  let bytes = 0
  for (const operation of operations) {
    checkKey(operation.key)
    if (operation.type === 'put') {
      checkValue(operation.key, operation.value)
      bytes += operation.value.length
    }
    checkVersion('ifVersion', operation.ifVersion)
    if (keys.has(operation.key)) throw new DuplicateKeyError(operation.key)
    keys.add(operation.key)
  }
  if (bytes > LIMITS.transactionBytes) throw new TransactionTooLargeError(bytes)
}

/** Refuses a lease that is too short to be renewed in time, or longer than anybody waits. */
export function checkTtl(ttlMs: number): void {
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1000 || ttlMs > 3_600_000)
    throw new InvalidStoreOptionError('ttlMs', ttlMs, 'whole milliseconds from 1000 to 3600000')
}
