/**
 * Container networks for Node: networks, endpoints, sandboxes and published ports.
 *
 * @packageDocumentation
 */

export { Controller, type Attachment } from './controller.ts'
export { Endpoint, type JoinOptions } from './endpoint.ts'
export {
  ActiveEndpointsError,
  BusyError,
  ContainerHasSandboxError,
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
  RuntimeDirectoryError,
} from './errors.ts'
export { Network } from './network.ts'
export type { PortRequest } from './port-request.ts'
export type {
  AttachRequest,
  CreateEndpointRequest,
  CreateNetworkRequest,
  CreateSandboxRequest,
  Options,
  PoolConfig,
  RouteRequest,
} from './requests.ts'
export { Sandbox, type InterfaceStatistics, type SpawnInSandboxOptions } from './sandbox.ts'
export { openController, type ControllerOptions } from './stack.ts'
