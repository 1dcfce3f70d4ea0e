/**
 * Address pools and addresses, IPv4 and IPv6.
 *
 * @packageDocumentation
 */

export { defaultIpam, type DefaultIpam, type DefaultIpamDeps, type DefaultIpamOptions } from './default-ipam.ts'
export {
  InvalidPluginError,
  NoAddressReturnedError,
  PluginNotFoundError,
  PluginRefusedError,
  PluginReplyError,
  PluginSocketError,
  PluginUnavailableError,
} from './errors.ts'
export { nullIpam } from './null-ipam.ts'
export type { PoolBaseOptions } from './pool-base.ts'
export { remoteIpam, type RemoteIpamDeps } from './remote-ipam.ts'
export type { RemoteIpamOptions } from './remote-options.ts'
export { serveIpam, type IpamPlugin, type ServeIpamDeps, type ServeIpamOptions } from './serve-ipam.ts'
