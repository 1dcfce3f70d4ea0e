import type { FirewallChange, FirewallFact, PortFact, SandboxLink } from '@net/driverapi'
import type { ConntrackSocket, FlowFilter } from '@net/netlink-ffi'
import { formatAddress, parseAddress, parseCidr, protocolNumbers } from '@net/types'

/** linux/netfilter/nf_conntrack_common.h: IPS_SRC_NAT, as flows of containers to elsewhere have it, and IPS_DST_NAT. */
const UNTRANSLATED = { mask: 0x10 | 0x20, value: 0 } as const

/**
 * Ends the flows that the kernel still tracks when what they were translated to is gone. Its memory of a flow
 * outlives rules and addresses: without this, packets of an old flow would reach whoever gets the address next.
 *
 * The kernel walks its whole table for that. While it does, those who come wait together for the next walk.
 */
export class StaleFlows {
  readonly #conntrack: Pick<ConntrackSocket, 'deleteBy'>
  #waiting: FlowFilter[] = []
  #next: Promise<void> | undefined
  #current: Promise<void> = Promise.resolve()

  /** `conntrack` is borrowed. */
  constructor(conntrack: Pick<ConntrackSocket, 'deleteBy'>) {
    this.#conntrack = conntrack
  }

  /** Resolves when no flow is left that passes one of `filters`. @throws NetlinkError (`ERR_NETLINK`) */
  async end(filters: readonly FlowFilter[]): Promise<void> {
    if (filters.length === 0) return
    this.#waiting.push(...filters)
    this.#next ??= this.#current.then(() => this.#walk())
    await this.#next
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

/** Flows from and to the addresses of interfaces that are gone, translated or not. */
export function flowsOfLinks(links: readonly SandboxLink[]): FlowFilter[] {
  return links
    .flatMap(({ addresses }) => addresses)
    .flatMap((cidr) => {
      const { address } = parseCidr(cidr)
      const source = formatAddress(address)
      return [
        { family: address.family, original: { source } },
        { family: address.family, reply: { source } },
      ]
    })
}

/**
 * Flows that a change makes stale: those through ports that are taken back and, since a UDP client may go on
 * with the flow that it began before, those that asked for a UDP port before it was published.
 */
export function flowsOfChange({ add = [], remove = [] }: FirewallChange): FlowFilter[] {
  return [
    ...remove.filter(isPort).map((port) => ({ ...flowsTo(port), reply: replyOf(port) })),
    ...add
      .filter(isPort)
      .flatMap((port) => (port.protocol === 'udp' ? [{ ...flowsTo(port), status: UNTRANSLATED }] : [])),
  ]
}

function isPort(fact: FirewallFact): fact is PortFact {
  return fact.kind === 'port'
}

/** Flows to the host's port. */
function flowsTo({ protocol, hostAddress, hostPort, containerAddress }: PortFact): FlowFilter {
  return {
    family: parseAddress(containerAddress).family,
    original: {
      protocol: protocolNumbers[protocol],
      destinationPort: hostPort,
      destination:
        hostAddress === undefined || isAny(hostAddress) ? undefined : formatAddress(parseAddress(hostAddress)),
    },
  }
}

/** How answers of the container look: its port may be the host's port of something else, and the other way round. */
function replyOf({ protocol, containerAddress, containerPort }: PortFact): FlowFilter['reply'] {
  return {
    protocol: protocolNumbers[protocol],
    source: formatAddress(parseAddress(containerAddress)),
    sourcePort: containerPort,
  }
}

function isAny(address: string): boolean {
  return parseAddress(address).value === 0n
}
