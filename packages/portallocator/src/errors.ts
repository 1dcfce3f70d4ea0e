import { NetError } from '@net/types'

/** The very port asked for is taken: by another lease of this allocator, or by a program of the host. */
export class PortInUseError extends NetError<'ERR_PORT_IN_USE'> {
  constructor(what: string, by: string, cause?: unknown) {
    super(`port is already allocated: ${what} is held by ${by}`, { code: 'ERR_PORT_IN_USE', kind: 'forbidden', cause })
  }
}

/** Every port of the range is taken. */
export class NoPortAvailableError extends NetError<'ERR_NO_PORT_AVAILABLE'> {
  constructor(protocol: string, first: number, last: number) {
    super(`all ports are allocated: ${protocol} ${first}-${last}`, {
      code: 'ERR_NO_PORT_AVAILABLE',
      kind: 'no-service',
    })
  }
}

/** A range of ports that is none. */
export class InvalidPortRangeError extends NetError<'ERR_INVALID_PORT_RANGE'> {
  constructor(first: number, last: number) {
    super(`invalid port range ${first}-${last}: expected 1 to 65535, the first not above the last`, {
      code: 'ERR_INVALID_PORT_RANGE',
      kind: 'bad-request',
    })
  }
}

/** The host has no such address to hold a port of. */
export class NotHostAddressError extends NetError<'ERR_NOT_HOST_ADDRESS'> {
  constructor(address: string, cause: unknown) {
    super(`${address} is no address of this host`, { code: 'ERR_NOT_HOST_ADDRESS', kind: 'bad-request', cause })
  }
}
