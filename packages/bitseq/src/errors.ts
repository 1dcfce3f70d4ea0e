import { NetError } from '@net/types'

/** Every bit of the row, or of the range asked for, is set. */
export class NoBitAvailableError extends NetError<'ERR_NO_BIT_AVAILABLE'> {
  constructor(first: bigint, last: bigint) {
    super(`no bit available between ${first} and ${last}`, { code: 'ERR_NO_BIT_AVAILABLE', kind: 'no-service' })
  }
}

/** The very bit asked for is taken. */
export class BitAllocatedError extends NetError<'ERR_BIT_ALLOCATED'> {
  constructor(ordinal: bigint | number) {
    super(`requested bit is already allocated: ${ordinal}`, { code: 'ERR_BIT_ALLOCATED', kind: 'forbidden' })
  }
}

/** The row has no bit of that number. */
export class OrdinalOutOfRangeError extends NetError<'ERR_ORDINAL_OUT_OF_RANGE'> {
  constructor(ordinal: bigint | number, length: bigint) {
    super(`bit does not belong to the sequence: ${ordinal} of ${length}`, {
      code: 'ERR_ORDINAL_OUT_OF_RANGE',
      kind: 'bad-request',
    })
  }
}

/** A range that ends before it begins, or reaches past the row. */
export class InvalidRangeError extends NetError<'ERR_INVALID_RANGE'> {
  constructor(first: bigint | number, last: bigint | number, length: bigint) {
    super(`invalid bit range [${first}, ${last}]: expected a range of the bits 0 to ${length - 1n}`, {
      code: 'ERR_INVALID_RANGE',
      kind: 'bad-request',
    })
  }
}

/** A row cannot be that long, or is too long for the binary form. */
export class InvalidLengthError extends NetError<'ERR_INVALID_LENGTH'> {
  constructor(length: bigint | number, expected: string) {
    super(`invalid length of a bit sequence ${length}: expected ${expected}`, {
      code: 'ERR_INVALID_LENGTH',
      kind: 'bad-request',
    })
  }
}

/** Bytes that should hold a row and hold none. */
export class DamagedBitseqError extends NetError<'ERR_DAMAGED_BITSEQ'> {
  constructor(why: string) {
    super(`damaged bit sequence: ${why}`, { code: 'ERR_DAMAGED_BITSEQ', kind: 'bad-request' })
  }
}
