import type { NetworkFact, NetworkPlan, NetworkRecord, Sysctl } from '@net/driverapi'
import { macAddressFromBytes, type AddressFamily } from '@net/types'
import type { BridgeOptions } from './labels.ts'

/** The bridge of a network with its addresses, and what the packet rules have to know of it. */
export function planNetwork(network: NetworkRecord<BridgeOptions>): NetworkPlan {
  const { bridge, mtu } = network.options
  const addresses = [network.ipv4?.gateway, network.ipv6?.gateway].filter((address) => address !== undefined)
  return {
    links: [{ kind: 'bridge', name: bridge, macAddress: bridgeMacAddress(network.id), mtu, addresses }],
    forwarding: forwardingOf(network),
    sysctls: [...ipv4Sysctls(network), ...ipv6Sysctls(network)],
    firewall: [networkFact(network)],
  }
}

function networkFact(network: NetworkRecord<BridgeOptions>): NetworkFact {
  const { internal, options } = network
  const masquerades = options.masquerade && !internal
  return {
    kind: 'network',
    bridge: options.bridge,
    internal,
    interContainer: true,
    masquerade: [
      ...(masquerades && network.ipv4 !== undefined ? ([4] as const) : []),
      ...(masquerades && network.ipv6 !== undefined ? ([6] as const) : []),
    ],
  }
}

function forwardingOf({ internal, ipv4, ipv6 }: NetworkRecord): AddressFamily[] {
  if (internal) return []
  return [...(ipv4 === undefined ? [] : ([4] as const)), ...(ipv6 === undefined ? [] : ([6] as const))]
}

/** Published ports are reachable on the host's 127.0.0.1. */
function ipv4Sysctls({ ipv4, internal, options }: NetworkRecord<BridgeOptions>): Sysctl[] {
  if (ipv4 === undefined || internal) return []
  return [{ path: `net/ipv4/conf/${options.bridge}/route_localnet`, value: '1' }]
}

/** IPv6 only where it was asked for: an interface that has it joins multicast groups and hears advertisements. */
function ipv6Sysctls({ ipv6, options }: NetworkRecord<BridgeOptions>): Sysctl[] {
  const own = `net/ipv6/conf/${options.bridge}`
  if (ipv6 === undefined) return [{ path: `${own}/disable_ipv6`, value: '1', optional: true }]
  return [
    { path: `${own}/disable_ipv6`, value: '0' },
    { path: `${own}/accept_ra`, value: '0' },
    // Until its link-local address has passed detection, the kernel asks no neighbour for forwarded packets:
    // a published port would be deaf for its first second or two. Nobody else makes up this bridge's address.
    { path: `${own}/accept_dad`, value: '0' },
  ]
}

/** Set when the bridge is made, so that it never follows its ports; out of the id, so that it stays. */
function bridgeMacAddress(networkId: string): string {
  const digits = networkId.slice(0, 8).match(/../g) ?? []
  return macAddressFromBytes(Uint8Array.of(0x02, 0x42, ...digits.map((pair) => parseInt(pair, 16))))
}
