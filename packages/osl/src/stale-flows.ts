import type { FirewallChange, FirewallFact, PortFact, SandboxLink } from '@net/driverapi'
import type { ConntrackSocket, FlowFilter } from '@net/netlink-ffi'
import { formatAddress, parseAddress, parseCidr, protocolNumbers, type AddressFamily, type Logger } from '@net/types'

// linux/netfilter/nf_conntrack_common.h
const IPS_SRC_NAT = 0x10 // as flows of containers to elsewhere have it
const IPS_DST_NAT = 0x20
const UNTRANSLATED = { mask: IPS_SRC_NAT | IPS_DST_NAT, value: 0 } as const
const LED_ELSEWHERE = { mask: IPS_DST_NAT, value: IPS_DST_NAT } as const

/** What has addresses, with prefix length. */
type Addressed = Pick<SandboxLink, 'addresses'>

/** IPv6 addresses that are remembered. Whoever asks for an older one by name may meet with its flows. */
const MOST_RESTING = 10_000

/**
 * Ends the flows that the kernel still tracks when what they were translated to is gone. Its memory of a flow
 * outlives rules and addresses: without this, packets of an old flow would reach whoever gets the address next.
 *
 * The kernel walks its whole table for that. While it does, those who come wait together for the next walk. Nobody
 * who lets an address go waits: who gets it next does, in the rare case that the walk is not done by then. IPv6
 * addresses the kernel cannot look for, and lists all flows instead, which keeps a processor busy for 9 ms. There are
 * enough of them to let each rest, so their flows are ended only when one is given again.
 */
export class StaleFlows {
  readonly #conntrack: Pick<ConntrackSocket, 'deleteBy'>
  readonly #logger: Logger
  #waiting: FlowFilter[] = []
  #next: Promise<void> | undefined
  #current: Promise<void> = Promise.resolve()
  /** By address: the walk that ends its flows. */
  readonly #ending = new Map<string, Promise<void>>()
  /** IPv6 addresses that were let go, the latest last. */
  readonly #resting = new Set<string>()

  /** `conntrack` is borrowed. */
  constructor(conntrack: Pick<ConntrackSocket, 'deleteBy'>, logger: Logger) {
    this.#conntrack = conntrack
    this.#logger = logger
  }

  /** Resolves when no flow is left that passes one of `filters`. @throws NetlinkError (`ERR_NETLINK`) */
  async end(filters: readonly FlowFilter[]): Promise<void> {
    if (filters.length === 0) return
    this.#waiting.push(...filters)
    this.#next ??= this.#current.then(() => this.#walk())
    await this.#next
  }

  /** As {@link StaleFlows.end}, but what cannot be ended is logged. */
  async tryEnd(filters: readonly FlowFilter[]): Promise<void> {
    try {
      await this.end(filters)
    } catch (error) {
      this.#logger.error({ err: error, filters }, 'flows that changed rules made stale could not be ended')
    }
  }

  /** Begins to end all flows of the addresses of interfaces that are gone. {@link StaleFlows.whenEnded} waits for it. */
  leave(links: readonly Addressed[]): void {
    for (const address of addressesOf(links, 6)) this.#resting.add(address)
    for (const address of this.#resting) {
      if (this.#resting.size <= MOST_RESTING) break
      this.#resting.delete(address)
    }
    const addresses = addressesOf(links, 4)
    if (addresses.length > 0) this.#endInBackground(addresses)
  }

  #endInBackground(addresses: readonly string[]): void {
    const ending = this.end(addresses.flatMap(flowsOf)).catch((error: unknown) => {
      this.#logger.error({ err: error, addresses }, 'the flows of addresses that were let go could not be ended')
    })
    for (const address of addresses) this.#ending.set(address, ending)
    void ending.then(() => {
      for (const address of addresses) if (this.#ending.get(address) === ending) this.#ending.delete(address)
    })
  }

  /** What has to be waited for before the addresses of interfaces are somebody else's. */
  whenEnded(links: readonly Addressed[]): Promise<unknown> | undefined {
    if (this.#ending.size === 0 && this.#resting.size === 0) return undefined
    const given = addressesOf(links, 6).filter((address) => this.#resting.delete(address))
    if (given.length > 0) this.#endInBackground(given)
    const wanted = [...addressesOf(links, 4), ...addressesOf(links, 6)]
    return Promise.all(wanted.flatMap((address) => this.#ending.get(address) ?? []))
  }

  /** Waits for what goes on in the background. */
  async settle(): Promise<void> {
    await Promise.all(this.#ending.values())
  }

  #walk(): Promise<void> {
    const filters = this.#waiting
    this.#waiting = []
    this.#next = undefined
    const walk = this.#conntrack.deleteBy(filters)
    // Whoever waits for this walk hears of its failure; the next one begins all the same.
    this.#current = walk.catch(() => undefined)
    return walk
  }
}

function addressesOf(links: readonly Addressed[], family: AddressFamily): string[] {
  return links
    .flatMap(({ addresses }) => addresses.map((cidr) => parseCidr(cidr).address))
    .filter((address) => address.family === family)
    .map(formatAddress)
}

/** Flows from and to an address, translated or not. */
function flowsOf(source: string): FlowFilter[] {
  const { family } = parseAddress(source)
  return [
    { family, original: { source } },
    { family, reply: { source } },
  ]
}

/**
 * The UDP flows that a change of ports makes stale: those through ports that are taken back, and those that asked for
 * a port before it was published, for a client may go on with the flow that it began. A TCP connection that is open
 * outlives its publication, and a new one begins a new flow.
 *
 * Ports tell them apart, where the kernel cannot look for addresses itself: IPv6. Of a range of ports the kernel is
 * asked for the flows of the protocol once, whatever the range's length.
 */
export function flowsOfChange({ add = [], remove = [] }: FirewallChange): FlowFilter[] {
  return [
    ...remove.filter(isUdpPort).map((port) => ({ ...flowsTo(port), reply: replyOf(port), status: LED_ELSEWHERE })),
    ...add.filter(isUdpPort).map((port) => ({ ...flowsTo(port), status: UNTRANSLATED })),
  ]
}

function isUdpPort(fact: FirewallFact): fact is PortFact {
  return fact.kind === 'port' && fact.protocol === 'udp'
}

/** Flows to the host's ports. */
function flowsTo({ protocol, hostAddress, hostPort, containerAddress, count = 1 }: PortFact): FlowFilter {
  const { family } = parseAddress(containerAddress)
  const isOne = hostAddress !== undefined && parseAddress(hostAddress).value !== 0n
  const destination = isOne && isLookedFor(family, count) ? formatAddress(parseAddress(hostAddress)) : undefined
  const original = { protocol: protocolNumbers[protocol], destination }
  if (count === 1) return { family, original: { ...original, destinationPort: hostPort } }
  return { family, original, destinationPorts: { first: hostPort, last: hostPort + count - 1 } }
}

/** Whether an address is worth naming: the kernel can look for it, or the flows have to be listed anyway. */
function isLookedFor(family: AddressFamily, count: number): boolean {
  return family === 4 || count > 1
}

/** How answers of the container look: its port may be the host's port of something else, and the other way round. */
function replyOf({ protocol, containerAddress, containerPort, count = 1 }: PortFact): FlowFilter['reply'] {
  const { family } = parseAddress(containerAddress)
  const source = isLookedFor(family, count) ? formatAddress(parseAddress(containerAddress)) : undefined
  return { protocol: protocolNumbers[protocol], source, sourcePort: count === 1 ? containerPort : undefined }
}
