/**
 * Numeric ids out of a range.
 *
 * @packageDocumentation
 */

export { IdInUseError, IdOutOfRangeError, InvalidNameError, InvalidRangeError, NoIdAvailableError } from './errors.ts'
export { Idm, type IdRange, type TakeOptions } from './idm.ts'
export { openIdm, type IdmCallOptions, type OpenIdmOptions, type StoredIdm } from './stored-idm.ts'
