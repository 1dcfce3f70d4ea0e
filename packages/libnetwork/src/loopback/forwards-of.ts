import type { FirewallFact, PortFact } from '@net/driverapi'
import type { Forward } from '@net/portmapper'

/** The one address of the host that no rule leads away from: IPv6 has no `route_localnet`. */
export const LOOPBACK = '::1'

/**
 * What a proxy has to do beside the packet rules of published ports: lead those of `::1` to the container, at its IPv6
 * address where it has one.
 */
export function forwardsOf(facts: readonly FirewallFact[]): Forward[] {
  const forwards = new Map<string, Forward>()
  for (const fact of facts) {
    if (fact.kind !== 'port' || !reachesLoopback(fact.hostAddress)) continue
    const key = `${fact.protocol}/${fact.hostPort}`
    if (!forwards.has(key) || isIpv6(fact.containerAddress)) forwards.set(key, forwardOf(fact))
  }
  return [...forwards.values()]
}

/** Whether a port that is published on `hostAddress` is one of `::1` too. */
export function reachesLoopback(hostAddress: string | undefined): boolean {
  return hostAddress === undefined || hostAddress === '::' || hostAddress === LOOPBACK
}

function forwardOf({ protocol, hostPort: port, containerAddress, containerPort, count }: PortFact): Forward {
  return { protocol, address: LOOPBACK, port, containerAddress, containerPort, count }
}

function isIpv6(address: string): boolean {
  return address.includes(':')
}
