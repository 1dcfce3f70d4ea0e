/**
 * Address pools and addresses, IPv4 and IPv6.
 *
 * @packageDocumentation
 */

export { defaultIpam, type DefaultIpamDeps, type DefaultIpamOptions } from './default-ipam.ts'
export { nullIpam } from './null-ipam.ts'
export type { PoolBaseOptions } from './pool-base.ts'
