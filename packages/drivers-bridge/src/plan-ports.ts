import type { EndpointRecord, FirewallFact, NetworkRecord, PublishedPort } from '@net/driverapi'
import type { BridgeEndpointOptions, BridgeOptions } from './options.ts'

/** What publishing `ports` tells the packet rules: each for every family that both ends have. */
export function planPorts(
  { options }: NetworkRecord<BridgeOptions>,
  { address, address6 }: EndpointRecord<BridgeEndpointOptions>,
  ports: readonly PublishedPort[],
): FirewallFact[] {
  const families = [
    { address, mode: options.gatewayModes.ipv4 },
    { address: address6, mode: options.gatewayModes.ipv6 },
  ]
  return ports.flatMap((port) =>
    families.flatMap(({ address: cidr, mode }): FirewallFact[] => {
      if (cidr === undefined) return []
      const { protocol, hostAddress, hostPort, containerPort, count } = port
      const several = count === undefined ? {} : { count }
      const containerAddress = withoutPrefixLength(cidr)
      if (hostAddress !== undefined && isIpv6(hostAddress) !== isIpv6(containerAddress)) return []
      const open = { kind: 'open-port', protocol, address: containerAddress, port: containerPort, ...several } as const
      if (mode === 'routed') return [open]
      const ends = { protocol, hostAddress, hostPort, containerAddress, containerPort, ...several }
      const published = { kind: 'port', ...ends } as const
      return mode === 'nat' && options.trustedInterfaces.length > 0 ? [published, open] : [published]
    }),
  )
}

/** The address without its prefix length. */
export function withoutPrefixLength(cidr: string): string {
  return cidr.slice(0, cidr.indexOf('/'))
}

/** Whether an address is one of IPv6. */
export function isIpv6(address: string): boolean {
  return address.includes(':')
}
