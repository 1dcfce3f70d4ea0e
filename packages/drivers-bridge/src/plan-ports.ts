import type { EndpointRecord, FirewallFact, NetworkRecord, PublishedPort } from '@net/driverapi'
import { withoutPrefixLength } from '@net/types'
import type { BridgeEndpointOptions, BridgeOptions, GatewayMode } from './options.ts'

/** One end that an endpoint has. */
interface End {
  readonly containerAddress: string
  readonly isIpv6: boolean
  readonly mode: GatewayMode
  readonly isTrusting: boolean
}

/** What publishing `ports` tells the packet rules: each for every family that both ends have. */
export function planPorts(
  { options }: NetworkRecord<BridgeOptions>,
  { address, address6 }: EndpointRecord<BridgeEndpointOptions>,
  ports: readonly PublishedPort[],
): FirewallFact[] {
  const isTrusting = options.trustedInterfaces.length > 0
  const { ipv4, ipv6 } = options.gatewayModes
  const ends: End[] = []
  if (address !== undefined) {
    ends.push({ containerAddress: withoutPrefixLength(address), isIpv6: false, mode: ipv4, isTrusting })
  }
  if (address6 !== undefined) {
    ends.push({ containerAddress: withoutPrefixLength(address6), isIpv6: true, mode: ipv6, isTrusting })
  }
  // By hand: a container may publish thousands of ports, for which flatMap takes several times as long.
  const facts: FirewallFact[] = []
  for (const port of ports) {
    for (const end of ends) if (isReachedAt(end, port)) facts.push(...factsOf(end, port))
  }
  return facts
}

function isReachedAt(end: End, { hostAddress }: PublishedPort): boolean {
  return hostAddress === undefined || isIpv6(hostAddress) === end.isIpv6
}

function factsOf({ containerAddress, mode, isTrusting }: End, port: PublishedPort): FirewallFact[] {
  const { protocol, hostAddress, hostPort, containerPort, count } = port
  const open: FirewallFact = { kind: 'open-port', protocol, address: containerAddress, port: containerPort, count }
  if (mode === 'routed') return [open]
  // Written out: a container may publish thousands of ports.
  const published: FirewallFact = {
    kind: 'port',
    protocol,
    hostAddress,
    hostPort,
    containerAddress,
    containerPort,
    count,
  }
  return mode === 'nat' && isTrusting ? [published, open] : [published]
}

/** Whether an address is one of IPv6. */
export function isIpv6(address: string): boolean {
  return address.includes(':')
}
