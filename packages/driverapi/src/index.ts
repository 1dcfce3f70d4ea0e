/**
 * What a network driver is: the contract, plans as data, the registry and the compliance suite.
 *
 * @packageDocumentation
 */

export type { ChosenAddresses, DriverEffects, NetworkPools } from './driver-effects.ts'
export { DriverRegistry } from './driver-registry.ts'
export { DriverExistsError, InvalidDriverTypeError, NoSuchDriverError } from './errors.ts'
export type {
  Firewall,
  FirewallChange,
  FirewallFact,
  FirewallReport,
  ForwardingFact,
  Inbound,
  NetworkFact,
  LinkFact,
  OpenPortFact,
  PerFamily,
  PortFact,
} from './firewall.ts'
export { NETWORK_LINK_GROUP, PORT_LINK_GROUP } from './link-group.ts'
export { formatFact, formatJoinPlan, formatNetworkPlan } from './format-plan.ts'
export type { CheckEndpointRequest, CheckNetworkRequest, HostLink, NetworkDriver } from './network-driver.ts'
export type {
  BridgeLink,
  ExistingBridge,
  ExistingLink,
  JoinPlan,
  NetworkPlan,
  PlannedNeighbour,
  PlannedRoute,
  SandboxLink,
  Sysctl,
  VethLink,
} from './plan.ts'
export type { EndpointRecord, NetworkRecord, Phase, PublishedPort, SandboxRecord, Subnet } from './records.ts'
