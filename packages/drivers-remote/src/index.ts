/**
 * Network drivers that are plugins: other programs, asked over a socket. Both ends of the protocol.
 *
 * @packageDocumentation
 */

export { InterfaceModifiedError, PluginScopeError, PortsUnsupportedError } from './errors.ts'
export { isRemoteNetwork, type RemoteEndpointOptions, type RemoteOptions } from './options.ts'
export { remoteDriver, type RemoteDriver } from './remote-driver.ts'
export {
  serveDriver,
  type NetworkPlugin,
  type PluginEndpoint,
  type PluginInterface,
  type PluginJoin,
  type PluginNetwork,
  type PluginPool,
  type ServeDriverDeps,
} from './serve-driver.ts'
