import koffi from 'koffi'
import { addressFromBytes, addressToBytes, formatAddress, parseAddress } from '@net/types'
import { viewOf } from '../attributes.ts'
import { MalformedMessageError, SystemCallError } from '../errors.ts'
import { libc } from '../libc.ts'
import { AF_INET, AF_INET6 } from '../rtnetlink/address.ts'
import { littleEndian } from '../writer.ts'

/** An address and a port of it. */
export interface SocketAddress {
  /** One that holds on a link alone has its interface behind it, by name or index: `fe80::1%eth0`. */
  readonly address: string
  readonly port: number
}

/** Room for either sort of address. */
export const SOCKET_ADDRESS_BYTES = 28
const IPV4_BYTES = 16
/** Where a struct sockaddr_in6 has the index of the interface. */
const SCOPE = 24

/** AF_INET or AF_INET6, by what the address looks like. */
export function familyOf(address: string): number {
  return parseAddress(withoutZone(address)).family === 4 ? AF_INET : AF_INET6
}

/**
 * struct sockaddr_in (16 bytes) or sockaddr_in6 (28 bytes), linux/in.h and linux/in6.h. Port 0: the kernel's choice.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): ENODEV for an interface that the calling thread's namespace has not
 */
export function encodeSocketAddress({ address, port }: SocketAddress): Uint8Array {
  const parsed = parseAddress(withoutZone(address))
  const bytes = new Uint8Array(parsed.family === 4 ? IPV4_BYTES : SOCKET_ADDRESS_BYTES)
  bytes[littleEndian ? 0 : 1] = parsed.family === 4 ? AF_INET : AF_INET6
  bytes[2] = port >>> 8
  bytes[3] = port
  bytes.set(addressToBytes(parsed), parsed.family === 4 ? 4 : 8)
  const zone = address.split('%')[1]
  if (zone !== undefined && parsed.family === 6) viewOf(bytes).setUint32(SCOPE, interfaceIndex(zone), littleEndian)
  return bytes
}

/** Reads what {@link encodeSocketAddress} wrote, or the kernel. @throws MalformedMessageError for other families */
export function decodeSocketAddress(bytes: Uint8Array): SocketAddress {
  const view = viewOf(bytes)
  const family = view.getUint16(0, littleEndian)
  if (family !== AF_INET && family !== AF_INET6) throw new MalformedMessageError(`address family ${family}`, 0)
  const from = family === AF_INET ? 4 : 8
  const address = addressFromBytes(bytes.subarray(from, from + (family === AF_INET ? 4 : 16)))
  const scope = family === AF_INET6 ? view.getUint32(SCOPE, littleEndian) : 0
  return { address: `${formatAddress(address)}${scope === 0 ? '' : `%${scope}`}`, port: view.getUint16(2) }
}

function withoutZone(address: string): string {
  return address.replace(/%.*$/, '')
}

let ifNameToIndex: ((name: string) => number) | undefined

function interfaceIndex(zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone)
  ifNameToIndex ??= koffi.load(null).func('unsigned int if_nametoindex(const char *name)') as (name: string) => number
  const index = ifNameToIndex(zone)
  if (index === 0) throw new SystemCallError('if_nametoindex', libc().errno(), zone)
  return index
}
