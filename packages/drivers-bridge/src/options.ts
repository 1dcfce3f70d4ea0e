import type { EndpointRecord, HostLink, PerFamily, Sysctl } from '@net/driverapi'

/**
 * How containers are reached from outside in a family. `nat`: through published ports. `nat-unprotected`: besides, at
 * their own addresses, whatever their ports. `routed`: at their own addresses, at the ports they publish. `isolated`:
 * not at all, and not by the host either.
 */
export type GatewayMode = 'nat' | 'nat-unprotected' | 'routed' | 'isolated'

/** What a bridge network remembers of its options. Plain JSON. */
export interface BridgeOptions {
  /** Name of the bridge interface. */
  readonly bridge: string
  /** The bridge was there before the network, and stays when that goes: what it was like. */
  readonly existing?: Pick<HostLink, 'addresses' | 'routesLocalnet'> | undefined
  /** It is the network of those who name none: its containers may be linked. */
  readonly isDefault: boolean
  readonly mtu?: number | undefined
  /** Packets leave with the host's address as their source. */
  readonly masquerade: boolean
  /** That address, where it is not the one of the interface that they leave by. */
  readonly sources: PerFamily<string>
  /** Whether containers of the network may speak with each other, save through published ports. */
  readonly interContainer: boolean
  readonly gatewayModes: { readonly ipv4: GatewayMode; readonly ipv6: GatewayMode }
  /** The bridge has no IPv4 address: somebody else on it is the gateway. */
  readonly inhibitIpv4: boolean
  /** The host's address that ports are published at when none is asked for. */
  readonly hostBinding?: string | undefined
  /** Interfaces of the host from where published ports are reached at their containers' own addresses. */
  readonly trustedInterfaces: readonly string[]
  /** What interfaces in sandboxes are called, before their number. */
  readonly interfacePrefix: string
}

/** Another endpoint of the network that an endpoint is linked with, as it was then. */
export type LinkedEndpoint = Pick<EndpointRecord, 'address' | 'address6' | 'exposed'>

/** What an endpoint on a bridge remembers of its options. Plain JSON. */
export interface BridgeEndpointOptions {
  /** The very name of the interface in the sandbox. */
  readonly interfaceName?: string | undefined
  /** Kernel settings of the interface, whose name is {@link INTERFACE_PLACEHOLDER} in their paths. */
  readonly sysctls?: readonly Sysctl[] | undefined
  /** Endpoints that reach what this one exposes. */
  readonly parents?: readonly LinkedEndpoint[] | undefined
  /** Endpoints that it reaches, at what they expose. */
  readonly children?: readonly LinkedEndpoint[] | undefined
}

/** Stands for the name that the interface gets. */
export const INTERFACE_PLACEHOLDER = 'IFNAME'
