import { NetError } from '@net/types'
import { LIMITS } from './store.ts'

/** A key that is empty, too long, not well-formed text, or that holds a NUL. */
export class InvalidKeyError extends NetError<'ERR_INVALID_KEY'> {
  readonly key: string

  constructor(key: string, why: string) {
    super(`invalid key ${JSON.stringify(key.slice(0, 80))}: ${why}`, { code: 'ERR_INVALID_KEY', kind: 'bad-request' })
    this.key = key
  }
}

/** A value larger than any store takes. */
export class ValueTooLargeError extends NetError<'ERR_VALUE_TOO_LARGE'> {
  constructor(key: string, bytes: number) {
    super(`the value of ${key} has ${bytes} bytes: expected ${LIMITS.valueBytes} at most`, {
      code: 'ERR_VALUE_TOO_LARGE',
      kind: 'bad-request',
    })
  }
}

/** More operations than a transaction can have, or none. */
export class TooManyOperationsError extends NetError<'ERR_TOO_MANY_OPERATIONS'> {
  constructor(count: number) {
    super(`a transaction of ${count} operations: expected 1 to ${LIMITS.operations}`, {
      code: 'ERR_TOO_MANY_OPERATIONS',
      kind: 'bad-request',
    })
  }
}

/** The values of a transaction are more than any store takes at once. Nothing of it took place. */
export class TransactionTooLargeError extends NetError<'ERR_TRANSACTION_TOO_LARGE'> {
  /** @param expected - what would do, such as `1000 at most` */
  constructor(bytes: number, expected = `${LIMITS.transactionBytes} at most`) {
    super(`a transaction of ${bytes} bytes: expected ${expected}`, {
      code: 'ERR_TRANSACTION_TOO_LARGE',
      kind: 'bad-request',
    })
  }
}

/** A transaction that names a key twice. */
export class DuplicateKeyError extends NetError<'ERR_DUPLICATE_KEY'> {
  constructor(key: string) {
    super(`${key} occurs twice in one transaction: expected each key once`, {
      code: 'ERR_DUPLICATE_KEY',
      kind: 'bad-request',
    })
  }
}

/** An option with a value that is none of those it takes. */
export class InvalidStoreOptionError extends NetError<'ERR_INVALID_STORE_OPTION'> {
  constructor(option: string, value: unknown, expected: string) {
    super(`invalid ${option} ${String(value)}: expected ${expected}`, {
      code: 'ERR_INVALID_STORE_OPTION',
      kind: 'bad-request',
    })
  }
}

/** There is no such key. */
export class KeyNotFoundError extends NetError<'ERR_KEY_NOT_FOUND'> {
  constructor(key: string) {
    super(`no such key: ${key}`, { code: 'ERR_KEY_NOT_FOUND', kind: 'not-found' })
  }
}

/** Somebody else wrote the key first. Read again, and decide again. */
export class VersionConflictError extends NetError<'ERR_VERSION_CONFLICT'> {
  readonly key: string
  readonly expected: number
  /** The key's version; 0 where it does not exist. */
  readonly actual: number

  constructor(key: string, expected: number, actual: number) {
    const name = (version: number): string => (version === 0 ? 'no entry' : `version ${version}`)
    super(`${key} was changed by somebody else: expected ${name(expected)}, found ${name(actual)}`, {
      code: 'ERR_VERSION_CONFLICT',
      kind: 'retry',
    })
    this.key = key
    this.expected = expected
    this.actual = actual
  }
}

/** The stored bytes are not what was written. They are kept aside until somebody looks at them. */
export class ValueDamagedError extends NetError<'ERR_VALUE_DAMAGED'> {
  readonly key: string

  constructor(key: string, why: string) {
    super(`the value of ${key} is damaged: ${why}`, { code: 'ERR_VALUE_DAMAGED', kind: 'internal' })
    this.key = key
  }
}

/** The lease is over, or never was. */
export class NoSuchLeaseError extends NetError<'ERR_NO_SUCH_LEASE'> {
  constructor(id: string) {
    super(`no such lease: ${id}`, { code: 'ERR_NO_SUCH_LEASE', kind: 'not-found' })
  }
}

/** The changes asked for are no longer remembered. List, and watch from the listing's revision. */
export class HistoryLostError extends NetError<'ERR_HISTORY_LOST'> {
  /** The revision asked for. */
  readonly from: number
  /** The oldest one that can still be asked for. */
  readonly oldest: number

  constructor(from: number, oldest: number) {
    super(`changes after revision ${from} are no longer remembered: expected ${oldest} or later`, {
      code: 'ERR_HISTORY_LOST',
      kind: 'retry',
    })
    this.from = from
    this.oldest = oldest
  }
}

/** The store was closed; a call under way learns it too. */
export class StoreClosedError extends NetError<'ERR_STORE_CLOSED'> {
  constructor() {
    super('the store is closed', { code: 'ERR_STORE_CLOSED', kind: 'forbidden' })
  }
}

/** The place where the data lies cannot be reached. */
export class StoreUnavailableError extends NetError<'ERR_STORE_UNAVAILABLE'> {
  /** `unknown`: a write was sent, and whether it took place must be read. */
  readonly outcome: 'none' | 'unknown'

  constructor(where: string, why: string, outcome: 'none' | 'unknown', cause?: unknown) {
    super(`${where} cannot be reached: ${why}`, { code: 'ERR_STORE_UNAVAILABLE', kind: 'retry', cause })
    this.outcome = outcome
  }
}

/** There is no room for a write. Nothing of it took place. */
export class StoreFullError extends NetError<'ERR_STORE_FULL'> {
  constructor(where: string, why: string, cause?: unknown) {
    super(`no room in ${where}: ${why}`, { code: 'ERR_STORE_FULL', kind: 'no-service', cause })
  }
}

/** A write to a store that was opened for reading, or that its medium does not allow. */
export class StoreReadOnlyError extends NetError<'ERR_STORE_READ_ONLY'> {
  constructor(where: string, cause?: unknown) {
    super(`${where} is open for reading only`, { code: 'ERR_STORE_READ_ONLY', kind: 'forbidden', cause })
  }
}

/** The store was written by a version of this package that is newer. */
export class StoreVersionError extends NetError<'ERR_STORE_VERSION'> {
  constructor(where: string, found: number, known: number) {
    super(`${where} has format ${found}: expected ${known} at most; a newer version of this package wrote it`, {
      code: 'ERR_STORE_VERSION',
      kind: 'forbidden',
    })
  }
}

/** A record that its collection's schema does not take, and that was not written. */
export class InvalidRecordError extends NetError<'ERR_INVALID_RECORD'> {
  constructor(key: string, cause: unknown) {
    super(`the record for ${key} is not what its schema takes: ${reasonOf(cause)}`, {
      code: 'ERR_INVALID_RECORD',
      kind: 'bad-request',
      cause,
    })
  }
}

/** A stored record that its collection's schema does not take. It is kept, and a copy of it set aside. */
export class RecordRefusedError extends NetError<'ERR_RECORD_REFUSED'> {
  readonly key: string

  constructor(key: string, cause: unknown) {
    super(`the stored record ${key} is not what its schema takes: ${reasonOf(cause)}`, {
      code: 'ERR_RECORD_REFUSED',
      kind: 'internal',
      cause,
    })
    this.key = key
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
