import { holdPort, isErrno, type HeldPort } from '@net/netlink-ffi'
import {
  checkPort,
  ClosedError,
  formatAddress,
  InvalidPortError,
  isProtocol,
  NotImplementedError,
  parseAddress,
  Turns,
  type CallOptions,
  type Protocol,
} from '@net/types'
import { NoPortAvailableError, NotHostAddressError, PortInUseError } from './errors.ts'
import { PortBook } from './port-book.ts'
import { checkRange, kernelEphemeralRange, kernelReservedPorts, type PortRange } from './port-range.ts'

/** What can be chosen about a {@link PortAllocator}. */
export interface PortAllocatorOptions {
  /** Where ports that nobody chose come from. @defaultValue the kernel's ip_local_port_range */
  readonly ephemeral?: PortRange | undefined
  /**
   * Whether a bound socket holds each taken port, so that no other program of the host gets it, and
   * a port that one has is refused. Costs a descriptor a port. @defaultValue true
   */
  readonly hold?: boolean | undefined
}

/** What the wiring supplies to a {@link PortAllocator}. */
export interface PortAllocatorDeps {
  readonly turns?: Turns | undefined
  /** Holds a port of the host. @defaultValue a bound socket of the namespace that `take` is called in */
  readonly holdPort?: typeof holdPort | undefined
}

/** Asks for a port. */
export interface TakePortRequest {
  /** An address of the host. Absent: all of them, of both families. */
  readonly address?: string | undefined
  readonly protocol: Protocol
  /** The very port wanted. Absent: any of `within`. */
  readonly port?: number | undefined
  /** @defaultValue the allocator's ephemeral range */
  readonly within?: PortRange | undefined
  /** How many ports in a row. @defaultValue 1 */
  readonly count?: number | undefined
}

/** A port that is ours until it is released. */
export interface PortLease extends Disposable {
  readonly address: string | undefined
  readonly protocol: Protocol
  readonly port: number
  /** Lets it go. Safe to call twice. */
  release(): void
}

/** Hands out ports of the host. */
export interface PortAllocator extends Disposable {
  /**
   * @throws `ERR_PORT_IN_USE`, `ERR_NO_PORT_AVAILABLE`, `ERR_INVALID_PORT`, `ERR_INVALID_PORT_RANGE`,
   *   `ERR_NOT_HOST_ADDRESS`, `ERR_INVALID_ADDRESS`, `ERR_NOT_IMPLEMENTED` (several ports in a row)
   */
  take(request: TakePortRequest, call?: CallOptions): Promise<PortLease>
  /** Lets every port go. Safe to call twice. */
  close(): void
}

/**
 * Opens an allocator. Ports nobody chose go round in a circle, so that a released one rests a while;
 * those in the kernel's list of reserved ports are passed over.
 *
 * @throws `ERR_INVALID_PORT_RANGE`
 */
export function openPortAllocator(options: PortAllocatorOptions = {}, deps: PortAllocatorDeps = {}): PortAllocator {
  const ephemeral = checkRange(options.ephemeral ?? kernelEphemeralRange())
  const hold = (options.hold ?? true) ? (deps.holdPort ?? holdPort) : undefined
  return new HostPorts(ephemeral, hold, deps.turns ?? new Turns())
}

class HostPorts implements PortAllocator {
  readonly #ephemeral: PortRange
  readonly #hold: typeof holdPort | undefined
  readonly #turns: Turns
  readonly #book = new PortBook()
  readonly #leases = new Set<PortLease>()
  /** The port after the one handed out last, by protocol and range. */
  readonly #cursors = new Map<string, number>()
  #closed = false

  constructor(ephemeral: PortRange, hold: typeof holdPort | undefined, turns: Turns) {
    this.#ephemeral = ephemeral
    this.#hold = hold
    this.#turns = turns
  }

  async take(request: TakePortRequest, call?: CallOptions): Promise<PortLease> {
    call?.signal?.throwIfAborted()
    if (this.#closed) throw new ClosedError('port allocator')
    const { protocol, port } = request
    if (!isProtocol(protocol)) throw new InvalidPortError(String(protocol), 'protocol tcp, udp or sctp')
    if ((request.count ?? 1) !== 1) throw new NotImplementedError('taking several ports in a row')
    const address = request.address === undefined ? undefined : formatAddress(parseAddress(request.address))
    if (port !== undefined) return this.#takeSpecific(protocol, checkPort(port), address)
    return this.#takeAny(protocol, address, request.within, call)
  }

  close(): void {
    this.#closed = true
    for (const lease of [...this.#leases]) lease.release()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #takeSpecific(protocol: Protocol, port: number, address: string | undefined): PortLease {
    const holder = this.#book.conflict(protocol, port, address)
    const what = `${protocol} port ${port} of ${address ?? 'every address'}`
    if (holder !== undefined) throw new PortInUseError(what, `another lease, on ${holder}`)
    try {
      return this.#lease(protocol, port, address)
    } catch (cause) {
      if (isErrno(cause, 'EADDRINUSE')) throw new PortInUseError(what, 'another program of this host', cause)
      throw cause
    }
  }

  async #takeAny(
    protocol: Protocol,
    address: string | undefined,
    within: PortRange | undefined,
    call: CallOptions | undefined,
  ): Promise<PortLease> {
    const { first, last } = within === undefined ? this.#ephemeral : checkRange(within)
    const isReserved = within === undefined ? kernelReservedPorts() : () => false
    const cursorKey = `${protocol}/${first}-${last}`
    for (let tried = 0; tried <= last - first; tried++) {
      const cursor = this.#cursors.get(cursorKey) ?? first
      this.#cursors.set(cursorKey, cursor === last ? first : cursor + 1)
      if (isReserved(cursor) || this.#book.conflict(protocol, cursor, address) !== undefined) continue
      try {
        return this.#lease(protocol, cursor, address)
      } catch (cause) {
        if (!isErrno(cause, 'EADDRINUSE')) throw cause
        await this.#turns.take(call)
      }
    }
    throw new NoPortAvailableError(protocol, first, last)
  }

  #lease(protocol: Protocol, port: number, address: string | undefined): PortLease {
    const held = this.#holdPort(protocol, port, address)
    this.#book.add(protocol, port, address)
    const release = (): void => {
      if (!this.#leases.delete(lease)) return
      this.#book.remove(protocol, port, address)
      held?.close()
    }
    const lease: PortLease = { protocol, port, address, release, [Symbol.dispose]: release }
    this.#leases.add(lease)
    return lease
  }

  #holdPort(protocol: Protocol, port: number, address: string | undefined): HeldPort | undefined {
    try {
      return this.#hold?.({ protocol, port, address })
    } catch (cause) {
      // A kernel without SCTP sockets: no program can have the port either.
      if (protocol === 'sctp' && isErrno(cause, 'EPROTONOSUPPORT', 'ESOCKTNOSUPPORT')) return undefined
      if (address !== undefined && isErrno(cause, 'EADDRNOTAVAIL')) throw new NotHostAddressError(address, cause)
      throw cause
    }
  }
}
