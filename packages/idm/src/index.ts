/**
 * Numeric ids out of a range.
 *
 * @packageDocumentation
 */

export { IdInUseError, IdOutOfRangeError, InvalidRangeError, NoIdAvailableError } from './errors.ts'
export { Idm, type IdRange, type TakeOptions } from './idm.ts'
