import type { Address } from './address.ts'
import { InvalidMacAddressError } from './errors.ts'
import { randomBytes } from './id.ts'

/**
 * Reads a MAC address that an interface can have: six bytes, colons between them, not all zero,
 * and not a group (multicast) address. Returned in lower case.
 *
 * @throws InvalidMacAddressError (`ERR_INVALID_MAC_ADDRESS`)
 */
export function parseMacAddress(text: string): string {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) {
    throw new InvalidMacAddressError(text, 'six bytes in hexadecimal, such as 02:42:ac:11:00:02')
  }
  if (parseInt(text.slice(0, 2), 16) % 2 === 1) {
    throw new InvalidMacAddressError(text, 'the address of one interface: the lowest bit of the first byte clear')
  }
  const lower = text.toLowerCase()
  if (lower === '00:00:00:00:00:00') throw new InvalidMacAddressError(text, 'an address other than all zero')
  return lower
}

/** The six bytes of a MAC address written as {@link parseMacAddress} returns it. */
export function macAddressToBytes(macAddress: string): Uint8Array {
  return Uint8Array.from(macAddress.split(':'), (byte) => parseInt(byte, 16))
}

/** Each byte in hexadecimal. */
const HEXADECIMAL = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Writes six bytes as a MAC address. */
export function macAddressFromBytes(bytes: Uint8Array): string {
  return formatBytes(bytes).slice(1)
}

/** With a colon before each. */
function formatBytes(bytes: Iterable<number>): string {
  let text = ''
  for (const byte of bytes) text += `:${HEXADECIMAL[byte]}`
  return text
}

/** The MAC address libnetwork gives to the holder of an IPv4 address: `02:42:` and its four bytes. */
export function macAddressOf({ value }: Address): string {
  const bits = Number(BigInt.asUintN(32, value))
  const bytes = [bits >>> 24, (bits >>> 16) & 255, (bits >>> 8) & 255, bits & 255]
  return `02:42${formatBytes(bytes)}`
}

/** The link-local IPv6 address that an interface of this MAC address makes for itself: RFC 4291, appendix A. */
export function linkLocalAddressOf(macAddress: string): Address {
  const digits = macAddress.replaceAll(':', '')
  // The bit that says who administers it is the other way round.
  const interfaceId = BigInt(`0x${digits.slice(0, 6)}fffe${digits.slice(6)}`) ^ (0x02n << 56n)
  return { family: 6, value: (0xfe80n << 112n) | interfaceId }
}

/** A random MAC address: locally administered, of one interface. */
export function randomMacAddress(): string {
  const bytes = randomBytes(6)
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02
  return macAddressFromBytes(bytes)
}
