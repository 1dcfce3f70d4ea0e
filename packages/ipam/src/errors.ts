import { NetError, type ErrorKind } from '@net/types'

/** A plugin said no for a reason that address managers have a code for. */
export class RemoteIpamError extends NetError {
  constructor(message: string, code: string, kind: ErrorKind) {
    super(`remote: ${message}`, { code, kind })
  }
}

/** A plugin took an address, and did not say which. */
export class NoAddressReturnedError extends NetError<'ERR_NO_ADDRESS_RETURNED'> {
  constructor(poolId: string) {
    super(`no address returned for pool ${poolId}`, { code: 'ERR_NO_ADDRESS_RETURNED', kind: 'no-service' })
  }
}
