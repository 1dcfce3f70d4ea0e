import type { BoundSocket, HeldPort } from '@net/netlink-ffi'
import { ClosedError, formatPorts, type CallOptions, type Protocol, type RangeMap } from '@net/types'
import { BoundPorts } from './bound-ports.ts'
import { NoPortAvailableError, PortInUseError } from './errors.ts'
import { describeAddress, EVERY_ADDRESS } from './host-address.ts'
import { resolveOptions, type Means, type PortAllocatorDeps, type PortAllocatorOptions } from './options.ts'
import { PortBook } from './port-book.ts'
import { PortCircle } from './port-circle.ts'
import { lastOf, type Ports, type Refusal } from './port-holder.ts'
import { Lease, type BookedPorts, type PortLease } from './port-lease.ts'
import { kernelReservedPorts } from './port-range.ts'
import { checkRequest, type BookPortRequest, type TakePortRequest, type Wanted } from './port-request.ts'
import { findSocketOwner } from './socket-owner.ts'

/** Hands out ports of the host. */
export interface PortAllocator extends AsyncDisposable {
  /**
   * @throws `ERR_PORT_IN_USE`, `ERR_NO_PORT_AVAILABLE`, `ERR_INVALID_PORT`, `ERR_INVALID_PORT_RANGE`,
   *   `ERR_NOT_HOST_ADDRESS`, `ERR_INVALID_ADDRESS`, `ERR_DESCRIPTOR_LIMIT`
   */
  take(request: TakePortRequest, call?: CallOptions): Promise<PortLease>
  /** As {@link PortAllocator.take}, for many: all of them, in their order, or none. */
  takeAll(requests: readonly TakePortRequest[], call?: CallOptions): Promise<PortLease[]>
  /**
   * Books ports whoever has them, and holds none: what leads to them stands already, and no other lease is to get them.
   *
   * @throws `ERR_PORT_IN_USE` where another lease has one, `ERR_INVALID_PORT`, `ERR_INVALID_ADDRESS`
   */
  book(request: BookPortRequest): BookedPorts
  /** Lets every port go. Safe to call twice. */
  close(): Promise<void>
}

/** So many are opened without a look at the ports of others: that they are taken is said by opening them, and sooner. */
const OPEN_UNSEEN = 32
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
  return new HostPorts(resolveOptions(options, deps))
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

  book({ port: first, ...request }: BookPortRequest): BookedPorts {
    this.#checkOpen()
    const ports = { ...checkRequest({ ...request, port: first }), first }
    this.#checkBook(ports)
    this.#book.add(ports.protocol, first, lastOf(ports), ports.address)
    return this.#leaseOf(ports)
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
    const { protocol, address, first, count } = ports
    this.#checkBook(ports)
    if (this.#isLookedFor(count)) {
      const bound = (await look.of(protocol, address, call)).find(first, lastOf(ports))
      // Somebody may have taken them meanwhile.
      this.#checkBook(ports)
      if (bound !== undefined) throw await this.#inUse(ports, bound.first, bound.value)
    }
    const lease = this.#isHeld(count) ? await this.#leaseHeld(ports, call) : this.#leaseBooked(ports)
    if (!('refused' in lease)) return lease
    const holder = (await this.#look().of(protocol, address, call)).find(lease.refused)
    throw await this.#inUse(ports, lease.refused, holder?.value, lease.cause)
  }

  #checkBook(ports: Ports): void {
    const { protocol, address, first } = ports
    const taken = this.#book.conflict(protocol, first, lastOf(ports), address)
    if (taken === undefined) return
    const port = Math.max(taken.first, first)
    throw new PortInUseError({
      ...{ what: describe(protocol, port, address), port },
      by: `another lease, of ${formatPorts(taken.first, taken.last - taken.first + 1)} on ${describeAddress(taken.value)}`,
    })
  }

  async #takeAny(wanted: Wanted, look: BoundPorts, call?: CallOptions): Promise<PortLease> {
    const { protocol, address, count, within } = wanted
    const range = within ?? this.#means.ephemeral
    const bound = this.#isLookedFor(count) ? await look.of(protocol, address, call) : undefined
    const { first, last } = range
    const inTheWay = [within === undefined ? kernelReservedPorts() : undefined, bound]
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

  /** Books the ports; that they are free has been looked at, and that the address is the host's is looked at here. */
  #leaseBooked(ports: Ports): PortLease | Refusal {
    this.#checkOpen()
    const isProbed = this.#means.asksHost && ports.address !== EVERY_ADDRESS
    const refusal = isProbed ? this.#means.holder.probe(ports) : undefined
    if (refusal !== undefined) return refusal
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

  /** A lease of booked ports. @param opened - what holds them; absent where nothing does yet */
  #leaseOf(ports: Ports, opened?: readonly HeldPort[]): BookedPorts {
    let held = opened === undefined ? undefined : Promise.resolve(opened)
    const letGo = async (): Promise<void> => {
      this.#leases.delete(lease)
      await this.#means.holder.close((await held?.catch(() => [])) ?? [])
      this.#book.remove(ports.protocol, ports.first, lastOf(ports), ports.address)
    }
    const hold = async (call?: CallOptions): Promise<void> => {
      held ??= this.#openBooked(ports, call)
      try {
        await held
      } catch (error) {
        held = undefined
        throw error
      }
    }
    const lease = new Lease(ports, { letGo, hold })
    this.#leases.add(lease)
    return lease
  }

  /** Opens what holds ports that are booked, where they are to be held at all. */
  async #openBooked(ports: Ports, call?: CallOptions): Promise<readonly HeldPort[]> {
    call?.signal?.throwIfAborted()
    this.#checkOpen()
    const { protocol, address, first, count } = ports
    if (this.#isLookedFor(count)) {
      const bound = (await this.#look().of(protocol, address, call)).find(first, lastOf(ports))
      if (bound !== undefined) throw await this.#inUse(ports, bound.first, bound.value)
    }
    if (!this.#isHeld(count)) return []
    const opened = await this.#means.holder.open(ports, call)
    if (!('refused' in opened)) return opened
    const holder = (await this.#look().of(protocol, address, call)).find(opened.refused)
    throw await this.#inUse(ports, opened.refused, holder?.value, opened.cause)
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

  /** Whether the ports of others are looked at first: of ports that no socket will hold, and to open none in vain. */
  #isLookedFor(count: number): boolean {
    return count > OPEN_UNSEEN || !this.#isHeld(count)
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

function describe(protocol: Protocol, port: number, address: string): string {
  return `${protocol} port ${port} of ${describeAddress(address)}`
}
