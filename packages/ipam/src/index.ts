/**
 * Address pools and addresses, IPv4 and IPv6.
 *
 * @packageDocumentation
 */

export { defaultIpam, type DefaultIpam, type DefaultIpamDeps, type DefaultIpamOptions } from './default-ipam.ts'
export { NoAddressReturnedError } from './errors.ts'
export { nullIpam } from './null-ipam.ts'
export type { PoolBaseOptions } from './pool-base.ts'
export { remoteIpam, type RemoteIpamDeps } from './remote-ipam.ts'
export { serveIpam, type ServeIpamDeps } from './serve-ipam.ts'
