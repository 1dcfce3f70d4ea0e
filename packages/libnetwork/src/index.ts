/**
 * Container networks for Node: networks, endpoints, sandboxes and published ports.
 *
 * @packageDocumentation
 */

export { Controller, type Attachment } from './controller.ts'
export type {
  ControllerDescription,
  EndpointDescription,
  NetworkDescription,
  PoolLease,
  SandboxDescription,
} from './describe.ts'
export { Endpoint } from './endpoint.ts'
export {
  ActiveEndpointsError,
  BusyError,
  ConfigConflictError,
  ConfigInUseError,
  ConfigOnlyError,
  ContainerHasSandboxError,
  ControllerRecordError,
  ControllerRunningError,
  EndpointExistsError,
  EndpointJoinedError,
  EndpointNotJoinedError,
  FamilyMismatchError,
  InvalidIpamAnswerError,
  InvalidRequestError,
  NetworkExistsError,
  NoSuchEndpointError,
  NoSuchIpamDriverError,
  NoSuchNetworkError,
  NoSuchSandboxError,
  PortNotPublishedError,
  RecordConflictError,
  RecordNotRefusedError,
  RuntimeDirectoryError,
  ScopeMismatchError,
} from './errors.ts'
export type { MetricsOptions } from './metrics/controller-metrics.ts'
export { OPEN_METRICS_CONTENT_TYPE } from './metrics/open-metrics.ts'
export type { HostResolverOptions } from './names/host-resolver.ts'
export type { ProxyLost, ProxyRestored, UserlandProxy } from './loopback/loopback-ports.ts'
export type { FilePaths } from './names/sandbox-files.ts'
export type { ControllerEvent, EventPlace, EventsMissed, EventsOptions, Happening } from './events.ts'
export { Network } from './network.ts'
export type { NetworkFilter } from './network-filter.ts'
export type { PortRequest } from './port-request.ts'
export type {
  AttachRequest,
  CreateEndpointRequest,
  CreateNetworkRequest,
  CreateSandboxRequest,
  DnsRequest,
  IpamRequest,
  JoinOptions,
  Options,
  PoolConfig,
  RefreshRequest,
  RouteRequest,
} from './requests.ts'
export type { DriverUnavailable } from './driver-plugins.ts'
export type { GatewayLost } from './gateway-network.ts'
export type { PluginSearch } from './ipam-registry.ts'
export type { ReloadOptions } from './reload.ts'
export { Sandbox, type InterfaceStatistics } from './sandbox.ts'
export type { SpawnInSandboxOptions } from './spawn-request.ts'
export type { SandboxProcess } from '@net/osl'
export type { ControllerDnsOptions, ControllerOptions } from './controller-options.ts'
export type { StoredPool } from './records/stored-forms.ts'
export { openController } from './stack.ts'
