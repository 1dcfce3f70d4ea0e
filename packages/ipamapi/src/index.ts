/**
 * What an address manager is: the contract, its errors and its compliance suite.
 *
 * @packageDocumentation
 */

export {
  AddressInUseError,
  AddressOutOfRangeError,
  InvalidAddressSpaceError,
  InvalidPoolError,
  InvalidSubPoolError,
  NoAddressAvailableError,
  NoPoolAvailableError,
  NoSuchPoolError,
  PoolOverlapError,
} from './errors.ts'
export type {
  AddressRequest,
  IpamCallOptions,
  IpamDriver,
  Pool,
  PoolRequest,
  PoolStatus,
  TakenAddress,
} from './ipam-driver.ts'
