import { NetError } from '@net/types'
import type { HostProcess } from './socket-owner.ts'

/** What is known of whoever has a port. */
export interface PortInUse {
  /** `tcp port 8080 of every address` */
  readonly what: string
  readonly port: number
  /** `another lease, on 127.0.0.1` */
  readonly by: string
  readonly process?: HostProcess | undefined
  readonly cause?: unknown
}

/** The very port asked for, or one of them, is taken: by another lease of this allocator, or by a program of the host. */
export class PortInUseError extends NetError<'ERR_PORT_IN_USE'> {
  /** The port that is taken: the first one, where several were asked for. */
  readonly port: number
  /** The program that has it, where the kernel tells. */
  readonly process: HostProcess | undefined

  constructor({ what, port, by, process, cause }: PortInUse) {
    super(`port is already allocated: ${what} is held by ${by}`, { code: 'ERR_PORT_IN_USE', kind: 'forbidden', cause })
    this.port = port
    this.process = process
  }
}

/** Every port of the range is taken, or there are not so many in a row. */
export class NoPortAvailableError extends NetError<'ERR_NO_PORT_AVAILABLE'> {
  constructor(protocol: string, first: number, last: number, count: number) {
    const range = `${protocol} ${first}-${last}`
    const message = count === 1 ? `all ports are allocated: ${range}` : `no ${count} ports in a row are free: ${range}`
    super(message, { code: 'ERR_NO_PORT_AVAILABLE', kind: 'no-service' })
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

/** A number of ports to hold by sockets that is none. */
export class InvalidHoldError extends NetError<'ERR_INVALID_HOLD'> {
  constructor(holdAtMost: number) {
    super(`invalid holdAtMost ${holdAtMost}: expected a whole number from 0 to 65535`, {
      code: 'ERR_INVALID_HOLD',
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

/** Sockets that hold ports are descriptors, and this process may not have so many. */
export class DescriptorLimitError extends NetError<'ERR_DESCRIPTOR_LIMIT'> {
  constructor(problem: string, cause: unknown) {
    super(`${problem}; raise the limit (ulimit -n), or hold fewer ports by sockets (holdAtMost)`, {
      code: 'ERR_DESCRIPTOR_LIMIT',
      kind: 'no-service',
      cause,
    })
  }

  /** Seen before the first socket is opened. */
  static before(count: number, needed: number, allowed: number, cause: unknown): DescriptorLimitError {
    const ports = count === 1 ? 'a port' : `${count} ports`
    return new DescriptorLimitError(
      `holding ${ports} takes this process to ${needed} descriptors, and it may have ${allowed}`,
      cause,
    )
  }

  /** Others opened some meanwhile. */
  static reached(port: number, cause: unknown): DescriptorLimitError {
    return new DescriptorLimitError(`no descriptor is left to hold port ${port}`, cause)
  }
}
