import { addressFromBytes, addressToBytes, formatAddress, parseAddress } from '@net/types'
import { viewOf } from '../attributes.ts'
import { MalformedMessageError } from '../errors.ts'
import { AF_INET, AF_INET6 } from '../rtnetlink/address.ts'
import { littleEndian } from '../writer.ts'

/** An address and a port of it. */
export interface SocketAddress {
  readonly address: string
  readonly port: number
}

/** Room for either sort of address. */
export const SOCKET_ADDRESS_BYTES = 28
const IPV4_BYTES = 16

/** AF_INET or AF_INET6, by what the address looks like. */
export function familyOf(address: string): number {
  return parseAddress(address).family === 4 ? AF_INET : AF_INET6
}

/** struct sockaddr_in (16 bytes) or sockaddr_in6 (28 bytes), linux/in.h and linux/in6.h. Port 0: the kernel's choice. */
export function encodeSocketAddress({ address, port }: SocketAddress): Uint8Array {
  const parsed = parseAddress(address)
  const bytes = new Uint8Array(parsed.family === 4 ? IPV4_BYTES : SOCKET_ADDRESS_BYTES)
  const view = viewOf(bytes)
  view.setUint16(0, parsed.family === 4 ? AF_INET : AF_INET6, littleEndian)
  view.setUint16(2, port)
  bytes.set(addressToBytes(parsed), parsed.family === 4 ? 4 : 8)
  return bytes
}

/** Reads what {@link encodeSocketAddress} wrote, or the kernel. @throws MalformedMessageError for other families */
export function decodeSocketAddress(bytes: Uint8Array): SocketAddress {
  const view = viewOf(bytes)
  const family = view.getUint16(0, littleEndian)
  if (family !== AF_INET && family !== AF_INET6) throw new MalformedMessageError(`address family ${family}`, 0)
  const from = family === AF_INET ? 4 : 8
  const address = addressFromBytes(bytes.subarray(from, from + (family === AF_INET ? 4 : 16)))
  return { address: formatAddress(address), port: view.getUint16(2) }
}
