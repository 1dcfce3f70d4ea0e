import type { DriverEffects } from './driver-effects.ts'
import type { FirewallFact } from './firewall.ts'
import type { JoinPlan, NetworkPlan } from './plan.ts'
import type { EndpointRecord, NetworkRecord, PublishedPort, SandboxRecord } from './records.ts'

/** What a driver is asked about a network before anything is made. */
export interface CheckNetworkRequest {
  readonly id: string
  readonly name: string
  readonly internal: boolean
  readonly ipv4: boolean
  readonly ipv6: boolean
  /** As the user gave them: labels and options, unchecked. */
  readonly options: Readonly<Record<string, unknown>>
  /** The networks of this driver that are there or being made. */
  readonly existing: readonly NetworkRecord[]
  /** Looks for a link of the host. @defaultValue there is none */
  readonly findHostLink?: ((name: string) => HostLink | undefined) | undefined
}

/** A link that the host has already. */
export interface HostLink {
  /** Such as `bridge`; undefined for those without a kind, as network cards are. */
  readonly kind: string | undefined
  /** Absent: it has none. */
  readonly macAddress?: string | undefined
  /** With prefix length. */
  readonly addresses: readonly string[]
  /** Whose network it is of: some controller's, this one's included. */
  readonly owner: string | undefined
  /** Whether its setting `route_localnet` is on. */
  readonly routesLocalnet: boolean
}

/** What a driver is asked about an endpoint before anything is made. */
export interface CheckEndpointRequest {
  readonly name: string
  /** As the user gave them, unchecked. */
  readonly options: Readonly<Record<string, unknown>>
  readonly publishes: boolean
  /** Looks for another endpoint of the network. @defaultValue there is none */
  readonly findEndpoint?: ((id: string) => EndpointRecord | undefined) | undefined
}

/**
 * Turns records into plans. Pure: it touches neither kernel nor store, so one plan serves making,
 * undoing and repairing. What it does beside that, elsewhere, are its `effects`.
 */
export interface NetworkDriver<NetworkOptions = unknown, EndpointOptions = unknown> {
  readonly type: string
  readonly scope: 'local' | 'global'
  /**
   * Its networks lead nowhere outside, though they are not internal: a sandbox that has no default route by any other
   * gets one by way of the controller's gateway network. @defaultValue false
   */
  readonly needsGatewayNetwork?: boolean | undefined
  /** @defaultValue none: all that it wants are plans */
  readonly effects?: DriverEffects | undefined
  /** Throws when the network cannot be made as asked; else returns what the driver has to remember of it. */
  checkNetwork(request: CheckNetworkRequest): NetworkOptions
  /** Throws when the network cannot have the subnets that it got. */
  checkSubnets?(network: NetworkRecord<NetworkOptions>): void
  /** Throws when the endpoint cannot be made as asked; else returns what the driver has to remember of it. */
  checkEndpoint(network: NetworkRecord<NetworkOptions>, request: CheckEndpointRequest): EndpointOptions
  /**
   * Checks what a store has of {@link NetworkDriver.checkNetwork}'s result, perhaps an earlier version's, and makes it
   * what this version remembers. Throws when it is none. Absent: taken as it is.
   */
  readNetworkOptions?(stored: unknown): NetworkOptions
  /** As {@link NetworkDriver.readNetworkOptions}, of what {@link NetworkDriver.checkEndpoint} returned. */
  readEndpointOptions?(stored: unknown): EndpointOptions
  /** As {@link NetworkDriver.readNetworkOptions}, of what `effects.join` returned. */
  readJoined?(stored: unknown): unknown
  /** Whether an endpoint of these options is to have no IPv6 address, whatever its network has. Absent: none is. */
  isWithoutIpv6?(options: EndpointOptions): boolean
  /** What the endpoint's interface is to be called in a sandbox where the names `taken` are. */
  nameInterface(
    network: NetworkRecord<NetworkOptions>,
    endpoint: EndpointRecord<EndpointOptions>,
    taken: readonly string[],
  ): string
  planNetwork(network: NetworkRecord<NetworkOptions>): NetworkPlan
  planEndpoint(
    network: NetworkRecord<NetworkOptions>,
    endpoint: EndpointRecord<EndpointOptions>,
    sandbox: SandboxRecord,
  ): JoinPlan
  /** The host's address that ports of the network are published at when none is asked for. Absent: all of them. */
  hostAddressOf?(network: NetworkRecord<NetworkOptions>): string | undefined
  /** The part of {@link NetworkDriver.planEndpoint} that publishing `ports` adds and unpublishing them removes. */
  planPorts(
    network: NetworkRecord<NetworkOptions>,
    endpoint: EndpointRecord<EndpointOptions>,
    ports: readonly PublishedPort[],
  ): readonly FirewallFact[]
  /** What `endpoint.driverInfo()` says, under libnetwork's label names. */
  describe(
    network: NetworkRecord<NetworkOptions>,
    endpoint: EndpointRecord<EndpointOptions>,
  ): Readonly<Record<string, unknown>>
}
