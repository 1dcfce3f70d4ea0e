import type { BoundSocket } from '@net/netlink-ffi'
import { formatAddress, parseAddress } from '@net/types'

/** Stands for every address of both families. */
export const EVERY_ADDRESS = ''

/** Every address of one family. */
const wildcards: readonly string[] = ['0.0.0.0', '::']

/** An address of the host in its one spelling. @throws InvalidAddressError (`ERR_INVALID_ADDRESS`) */
export function parseHostAddress(text: string | undefined): string {
  return text === undefined ? EVERY_ADDRESS : formatAddress(parseAddress(text))
}

/** Whether a packet to one could be one to the other. */
export function addressesMeet(one: string, other: string): boolean {
  if (one === other || one === EVERY_ADDRESS || other === EVERY_ADDRESS) return true
  return isIpv6(one) === isIpv6(other) && (wildcards.includes(one) || wildcards.includes(other))
}

/** The address that a socket is bound to: one of IPv6 may take IPv4 as well. */
export function addressOfSocket({ address, isOnlyIpv6 }: BoundSocket): string {
  return address === '::' && !isOnlyIpv6 ? EVERY_ADDRESS : address
}

/** How an address is written in a message. */
export function describeAddress(address: string): string {
  if (address === EVERY_ADDRESS) return 'every address'
  return wildcards.includes(address) ? `every address of IPv${isIpv6(address) ? 6 : 4}` : address
}

function isIpv6(address: string): boolean {
  return address.includes(':')
}
