import { holdPort, listBoundSockets, type BoundSocket, type HeldPort } from '@net/netlink-ffi'
import {
  checkPortCount,
  ClosedError,
  formatPorts,
  InvalidPortError,
  isProtocol,
  Turns,
  type CallOptions,
  type Protocol,
  type RangeMap,
} from '@net/types'
import { BoundPorts } from './bound-ports.ts'
import { DescriptorRoom, type Descriptors } from './descriptor-room.ts'
import { InvalidHoldError, NoPortAvailableError, PortInUseError } from './errors.ts'
import { describeAddress, EVERY_ADDRESS, parseHostAddress } from './host-address.ts'
import { PortBook } from './port-book.ts'
import { PortCircle } from './port-circle.ts'
import { PortHolder, type Ports, type Refusal } from './port-holder.ts'
import { checkRange, kernelEphemeralRange, kernelReservedPorts, type PortRange } from './port-range.ts'
import { findSocketOwner } from './socket-owner.ts'

/** What can be chosen about a {@link PortAllocator}. */
export interface PortAllocatorOptions {
  /** Where ports that nobody chose come from. @defaultValue the kernel's ip_local_port_range */
  readonly ephemeral?: PortRange | undefined
  /**
   * Whether ports are kept from other programs of the host, and those that one has are refused. Without, only leases
   * of this allocator are kept apart. @defaultValue true
   */
  readonly hold?: boolean | undefined
  /**
   * A lease of so many ports at most is held by bound sockets as long as it lasts: a descriptor and some 4 KB of the
   * kernel's memory each. Of a larger one the kernel is asked once, when it is taken, whether a program has one of its
   * ports; a program that binds one later is not refused, and hears nothing while the port leads elsewhere. 0: no
   * sockets at all.
   * @defaultValue 1024
   */
  readonly holdAtMost?: number | undefined
}

/** What the wiring supplies to a {@link PortAllocator}. */
export interface PortAllocatorDeps {
  readonly turns?: Turns | undefined
  /** Holds a port of the host. @defaultValue a bound socket of the namespace that `take` is called in */
  readonly holdPort?: typeof holdPort | undefined
  /** Tells of the sockets of other programs. @defaultValue what the kernel says of the namespace that `take` is called in */
  readonly listBoundSockets?: typeof listBoundSockets | undefined
  /** How many descriptors this process may have. @defaultValue its RLIMIT_NOFILE, raised where that is allowed */
  readonly descriptors?: Descriptors | undefined
}

/** Asks for a port, or for several in a row. */
export interface TakePortRequest {
  /** An address of the host. Absent: all of them, of both families. */
  readonly address?: string | undefined
  readonly protocol: Protocol
  /** The very port wanted, or the first of several. Absent: any of `within`. */
  readonly port?: number | undefined
  /** @defaultValue the allocator's ephemeral range */
  readonly within?: PortRange | undefined
  /** How many ports in a row. @defaultValue 1 */
  readonly count?: number | undefined
}

/** A port, or several in a row, that are ours until they are released. */
export interface PortLease extends AsyncDisposable {
  readonly address: string | undefined
  readonly protocol: Protocol
  /** The first of them. */
  readonly port: number
  readonly count: number
  /** Lets them go: resolves when others can have them. Safe to call twice. */
  release(): Promise<void>
}

/** Hands out ports of the host. */
export interface PortAllocator extends AsyncDisposable {
  /**
   * @throws `ERR_PORT_IN_USE`, `ERR_NO_PORT_AVAILABLE`, `ERR_INVALID_PORT`, `ERR_INVALID_PORT_RANGE`,
   *   `ERR_NOT_HOST_ADDRESS`, `ERR_INVALID_ADDRESS`, `ERR_DESCRIPTOR_LIMIT`
   */
  take(request: TakePortRequest, call?: CallOptions): Promise<PortLease>
  /** As {@link PortAllocator.take}, for many: all of them, in their order, or none. */
  takeAll(requests: readonly TakePortRequest[], call?: CallOptions): Promise<PortLease[]>
  /** Lets every port go. Safe to call twice. */
  close(): Promise<void>
}

/** More would be a large part of the descriptors that a process has by default. */
const HOLD_AT_MOST = 1024
/** Ports looked at, and requests carried out, between two looks at the clock. */
const PORT_STRIDE = 256
const REQUEST_STRIDE = 16

/**
 * Opens an allocator. Ports nobody chose go round in a circle, so that a released one rests a while;
 * those in the kernel's list of reserved ports are passed over.
 *
 * @throws `ERR_INVALID_PORT_RANGE`, `ERR_INVALID_HOLD`
 */
export function openPortAllocator(options: PortAllocatorOptions = {}, deps: PortAllocatorDeps = {}): PortAllocator {
  const { ephemeral = kernelEphemeralRange(), hold = true, holdAtMost = HOLD_AT_MOST } = options
  if (!Number.isInteger(holdAtMost) || holdAtMost < 0 || holdAtMost > 65_535) throw new InvalidHoldError(holdAtMost)
  const turns = deps.turns ?? new Turns()
  return new HostPorts({
    ephemeral: checkRange(ephemeral),
    holdAtMost: hold ? holdAtMost : 0,
    list: hold ? (deps.listBoundSockets ?? listBoundSockets) : () => [],
    holder: new PortHolder(deps.holdPort ?? holdPort, new DescriptorRoom(deps.descriptors), turns),
    turns,
  })
}

/** What an allocator works with, nothing left open. */
interface Means {
  readonly ephemeral: PortRange
  readonly holdAtMost: number
  readonly list: typeof listBoundSockets
  readonly holder: PortHolder
  readonly turns: Turns
}

/** A request, checked. */
interface Wanted extends Omit<Ports, 'first'> {
  readonly first: number | undefined
  readonly within: PortRange | undefined
}

class HostPorts implements PortAllocator {
  readonly #means: Means
  readonly #book = new PortBook()
  readonly #leases = new Set<PortLease>()
  readonly #circle = new PortCircle()
  #closed = false

  constructor(means: Means) {
    this.#means = means
  }

  async take(request: TakePortRequest, call?: CallOptions): Promise<PortLease> {
    call?.signal?.throwIfAborted()
    this.#checkOpen()
    return this.#take(checkRequest(request), this.#look(), call)
  }

  async takeAll(requests: readonly TakePortRequest[], call?: CallOptions): Promise<PortLease[]> {
    call?.signal?.throwIfAborted()
    this.#checkOpen()
    const wanted = requests.map(checkRequest)
    this.#means.holder.makeRoom(wanted.reduce((sum, { count }) => sum + (this.#isHeld(count) ? count : 0), 0))
    const look = this.#look()
    const leases: PortLease[] = []
    let isWhole = false
    try {
      for (const [at, one] of wanted.entries()) {
        if (at % REQUEST_STRIDE === REQUEST_STRIDE - 1) await this.#means.turns.take(call)
        leases.push(await this.#take(one, look, call))
      }
      isWhole = true
      return leases
    } finally {
      if (!isWhole) await this.#releaseAll(leases)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#releaseAll([...this.#leases])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #take(wanted: Wanted, look: BoundPorts, call?: CallOptions): Promise<PortLease> {
    const { first } = wanted
    return first === undefined
      ? this.#takeAny(wanted, look, call)
      : this.#takeSpecific({ ...wanted, first }, look, call)
  }

  async #takeSpecific(ports: Ports, look: BoundPorts, call?: CallOptions): Promise<PortLease> {
    const { protocol, address, first } = ports
    const taken = this.#book.conflict(protocol, first, lastOf(ports), address)
    if (taken !== undefined) {
      const port = Math.max(taken.first, first)
      throw new PortInUseError({
        ...{ what: describe(protocol, port, address), port },
        by: `another lease, of ${formatPorts(taken.first, taken.last - taken.first + 1)} on ${describeAddress(taken.value)}`,
      })
    }
    const bound = this.#boundBefore(ports, look)?.find(first, lastOf(ports))
    if (bound !== undefined) throw await this.#inUse(ports, bound.first, bound.value)
    const lease = this.#isHeld(ports.count) ? await this.#leaseHeld(ports, call) : this.#leaseBooked(ports)
    if (!('refused' in lease)) return lease
    const holder = this.#look().of(protocol, address).find(lease.refused)
    throw await this.#inUse(ports, lease.refused, holder?.value, lease.cause)
  }

  async #takeAny(wanted: Wanted, look: BoundPorts, call?: CallOptions): Promise<PortLease> {
    const { protocol, count, within } = wanted
    const range = within ?? this.#means.ephemeral
    const { first, last } = range
    const inTheWay = [within === undefined ? kernelReservedPorts() : undefined, this.#boundBefore(wanted, look)]
    let looks = 0
    for (let tried = 0; tried <= last - first;) {
      if (looks++ % PORT_STRIDE === PORT_STRIDE - 1) await this.#means.turns.take(call)
      const ports = { ...wanted, first: this.#circle.next(protocol, range) }
      const blocked = this.#blockedUntil(ports, last, inTheWay)
      if (blocked === undefined) {
        const next = this.#circle.moveTo(protocol, range, ports.first + count)
        const lease = this.#isHeld(count) ? await this.#leaseHeld(ports, call) : this.#leaseBooked(ports)
        if (!('refused' in lease)) return lease
        // Unless somebody went on from there meanwhile.
        if (this.#circle.next(protocol, range) === next) this.#circle.moveTo(protocol, range, lease.refused + 1)
        tried += lease.refused + 1 - ports.first
        await this.#means.turns.take(call)
      } else {
        this.#circle.moveTo(protocol, range, blocked + 1)
        tried += blocked + 1 - ports.first
      }
    }
    throw new NoPortAvailableError(protocol, first, last, count)
  }

  /** The last port known to be in the way of `ports`, or undefined where they may be free. */
  #blockedUntil(ports: Ports, last: number, maps: readonly (RangeMap<unknown> | undefined)[]): number | undefined {
    const { protocol, first, address } = ports
    if (lastOf(ports) > last) return last
    const entries = [
      this.#book.conflict(protocol, first, lastOf(ports), address),
      ...maps.map((map) => map?.find(first, lastOf(ports))),
    ]
    const ends = entries.flatMap((entry) => (entry === undefined ? [] : [Math.min(entry.last, last)]))
    return ends.length === 0 ? undefined : Math.max(...ends)
  }

  #isHeld(count: number): boolean {
    return count <= this.#means.holdAtMost
  }

  #leaseBooked(ports: Ports): PortLease {
    this.#book.add(ports.protocol, ports.first, lastOf(ports), ports.address)
    return this.#leaseOf(ports, [])
  }

  /** Books the ports and holds them, or neither. */
  async #leaseHeld(ports: Ports, call?: CallOptions): Promise<PortLease | Refusal> {
    const { protocol, first, address } = ports
    this.#book.add(protocol, first, lastOf(ports), address)
    let held: readonly HeldPort[] | undefined
    try {
      const opened = await this.#means.holder.open(ports, call)
      if ('refused' in opened) return opened
      held = opened
    } finally {
      if (held === undefined) this.#book.remove(protocol, first, lastOf(ports), address)
    }
    const lease = this.#leaseOf(ports, held)
    // Closed while the sockets were opened.
    if (this.#closed) {
      await lease.release()
      this.#checkOpen()
    }
    return lease
  }

  #leaseOf({ protocol, first, count, address }: Ports, held: readonly HeldPort[]): PortLease {
    let released: Promise<void> | undefined
    const release = (): Promise<void> =>
      (released ??= (async () => {
        this.#leases.delete(lease)
        await this.#means.holder.close(held)
        this.#book.remove(protocol, first, first + count - 1, address)
      })())
    const lease: PortLease = {
      ...{ protocol, port: first, count, release, [Symbol.asyncDispose]: release },
      address: address === EVERY_ADDRESS ? undefined : address,
    }
    this.#leases.add(lease)
    return lease
  }

  async #releaseAll(leases: readonly PortLease[]): Promise<void> {
    for (const [at, lease] of leases.entries()) {
      if (at % REQUEST_STRIDE === REQUEST_STRIDE - 1) await this.#means.turns.take()
      await lease.release()
    }
  }

  #look(): BoundPorts {
    return new BoundPorts(this.#means.list)
  }

  /**
   * Sockets of other programs, where it is worth looking before any socket is opened: for ports that no socket will
   * hold, and to open none in vain.
   */
  #boundBefore(
    { protocol, count, address }: Omit<Ports, 'first'>,
    look: BoundPorts,
  ): RangeMap<BoundSocket> | undefined {
    return count > 1 || !this.#isHeld(count) ? look.of(protocol, address) : undefined
  }

  async #inUse(ports: Ports, port: number, holder?: BoundSocket, cause?: unknown): Promise<PortInUseError> {
    const process = holder === undefined ? undefined : await findSocketOwner(holder.inode)
    const by =
      process === undefined
        ? 'another program of this host'
        : `${process.command} (process ${process.pid}) of this host`
    return new PortInUseError({ what: describe(ports.protocol, port, ports.address), port, by, process, cause })
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClosedError('port allocator')
  }
}

function checkRequest({ protocol, port, count = 1, address, within }: TakePortRequest): Wanted {
  if (!isProtocol(protocol)) throw new InvalidPortError(String(protocol), 'protocol tcp, udp or sctp')
  return {
    protocol,
    first: port,
    count: checkPortCount(port ?? 1, count),
    address: parseHostAddress(address),
    within: within === undefined ? undefined : checkRange(within),
  }
}

function lastOf({ first, count }: Ports): number {
  return first + count - 1
}

function describe(protocol: Protocol, port: number, address: string): string {
  return `${protocol} port ${port} of ${describeAddress(address)}`
}
