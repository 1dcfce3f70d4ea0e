import type {
  BridgeLink,
  ExistingBridge,
  Inbound,
  NetworkFact,
  NetworkPlan,
  NetworkRecord,
  Sysctl,
} from '@net/driverapi'
import { macAddressFromBytes, type AddressFamily } from '@net/types'
import { isNat } from './conflicts.ts'
import type { BridgeOptions, GatewayMode } from './options.ts'

/** The bridge of a network with its addresses, and what the packet rules have to know of it. */
export function planNetwork(network: NetworkRecord<BridgeOptions>): NetworkPlan {
  const { existing } = network.options
  return {
    links: [existing === undefined ? ownBridge(network) : existingBridge(network, existing.addresses)],
    forwarding: forwardingOf(network),
    sysctls: existing === undefined ? [...ipv4Sysctls(network), ...ipv6Sysctls(network)] : missingSysctls(network),
    ...(existing === undefined ? {} : { restore: restoredSysctls(network) }),
    firewall: [networkFact(network)],
  }
}

function ownBridge(network: NetworkRecord<BridgeOptions>): BridgeLink {
  const { bridge: name, mtu } = network.options
  return { kind: 'bridge', name, macAddress: bridgeMacAddress(network.id), mtu, addresses: addressesOf(network) }
}

/** Somebody else's bridge gets the addresses that it does not have. */
function existingBridge(network: NetworkRecord<BridgeOptions>, held: readonly string[]): ExistingBridge {
  const addresses = addressesOf(network).filter((address) => !held.includes(address))
  return { kind: 'existing-bridge', name: network.options.bridge, addresses }
}

/** Somebody else's bridge keeps its settings, but for those that the network would not work without. */
function missingSysctls(network: NetworkRecord<BridgeOptions>): Sysctl[] {
  const { bridge, existing } = network.options
  const hasIpv6 = addressesOf(network).some((address) => address.includes(':'))
  return [
    ...(existing?.routesLocalnet === true ? [] : ipv4Sysctls(network)),
    ...(hasIpv6 ? [{ path: `net/ipv6/conf/${bridge}/disable_ipv6`, value: '0' }] : []),
  ]
}

/** Without the network's packet rules whoever is on the bridge would reach the host's 127.0.0.1. */
function restoredSysctls(network: NetworkRecord<BridgeOptions>): Sysctl[] {
  if (network.options.existing?.routesLocalnet === true) return []
  return ipv4Sysctls(network).map((sysctl) => ({ ...sysctl, value: '0' }))
}

/** The host's addresses on the bridge. */
export function addressesOf({ ipv4, ipv6, options }: NetworkRecord<BridgeOptions>): string[] {
  const { gatewayModes, inhibitIpv4 } = options
  return [
    inhibitIpv4 || gatewayModes.ipv4 === 'isolated' ? undefined : ipv4?.gateway,
    gatewayModes.ipv6 === 'isolated' ? undefined : ipv6?.gateway,
  ].filter((address) => address !== undefined)
}

function networkFact({ internal, ipv4, ipv6, options }: NetworkRecord<BridgeOptions>): NetworkFact {
  const { gatewayModes, sources, trustedInterfaces } = options
  const masquerades = options.masquerade && !internal
  return {
    kind: 'network',
    bridge: options.bridge,
    internal,
    interContainer: options.interContainer,
    masquerade: [
      ...(masquerades && ipv4 !== undefined && isNat(gatewayModes.ipv4) ? ([4] as const) : []),
      ...(masquerades && ipv6 !== undefined && isNat(gatewayModes.ipv6) ? ([6] as const) : []),
    ],
    sources,
    inbound: { ipv4: inboundOf(gatewayModes.ipv4), ipv6: inboundOf(gatewayModes.ipv6) },
    trusted: trustedInterfaces,
    prefixes: { ipv4: ipv4?.pool, ipv6: ipv6?.pool },
  }
}

function inboundOf(mode: GatewayMode): Inbound {
  if (mode === 'nat-unprotected') return 'all'
  return mode === 'routed' ? 'routed' : 'published'
}

function forwardingOf({ internal, ipv4, ipv6 }: NetworkRecord): AddressFamily[] {
  if (internal) return []
  return [...(ipv4 === undefined ? [] : ([4] as const)), ...(ipv6 === undefined ? [] : ([6] as const))]
}

/** Published ports are reachable on the host's 127.0.0.1. */
function ipv4Sysctls({ ipv4, internal, options }: NetworkRecord<BridgeOptions>): Sysctl[] {
  if (ipv4 === undefined || internal || !isNat(options.gatewayModes.ipv4)) return []
  return [{ path: `net/ipv4/conf/${options.bridge}/route_localnet`, value: '1' }]
}

/** IPv6 only where it was asked for: an interface that has it joins multicast groups and hears advertisements. */
function ipv6Sysctls({ ipv6, options }: NetworkRecord<BridgeOptions>): Sysctl[] {
  const own = `net/ipv6/conf/${options.bridge}`
  if (ipv6 === undefined || options.gatewayModes.ipv6 === 'isolated')
    return [{ path: `${own}/disable_ipv6`, value: '1', optional: true }]
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
