/**
 * A long row of bits: find, set and clear bits among 2^64 without holding them all.
 *
 * @packageDocumentation
 */

export { Bitseq, type BitRange, type TakeOptions } from './bitseq.ts'
export {
  BitAllocatedError,
  DamagedBitseqError,
  InvalidLengthError,
  InvalidRangeError,
  NoBitAvailableError,
  OrdinalOutOfRangeError,
} from './errors.ts'
