import { IPv4, IPv6 } from 'ip-num'
import { InvalidAddressError, InvalidCidrError } from './errors.ts'

/** IPv4 or IPv6. */
export type AddressFamily = 4 | 6

/** An address as a number: what comparisons and arithmetic work on. */
export interface Address {
  readonly family: AddressFamily
  readonly value: bigint
}

/** An address with a prefix length. `address` may have host bits: `10.0.0.2/24`. */
export interface Cidr {
  readonly address: Address
  readonly prefixLength: number
}

/** Number of bits of an address: 32 or 128. */
export function addressBits(family: AddressFamily): 32 | 128 {
  return family === 4 ? 32 : 128
}

/**
 * Reads an address. Refuses whatever only looks like one: leading zeros, zone ids, white space,
 * and IPv4-mapped IPv6 addresses, which would be two names of one address.
 *
 * @throws InvalidAddressError (`ERR_INVALID_ADDRESS`)
 */
export function parseAddress(text: string): Address {
  if (!/^[0-9a-fA-F:.]{2,45}$/.test(text)) {
    throw new InvalidAddressError(text, 'an IPv4 or IPv6 address without zone or prefix length')
  }
  const address = readAddress(text)
  if (address.family === 6 && address.value >> 32n === 0xffffn) {
    throw new InvalidAddressError(
      text,
      `the IPv4 address itself, ${formatAddress({ family: 4, value: address.value & 0xffffffffn })}`,
    )
  }
  return address
}

/** Whether a text is an address that {@link parseAddress} takes, and of the family, where one is named. */
export function isAddress(text: string, family?: AddressFamily): boolean {
  try {
    const address = parseAddress(text)
    return family === undefined || address.family === family
  } catch (error) {
    if (error instanceof InvalidAddressError) return false
    throw error
  }
}

/** Most addresses are spelled plainly and read here, on the way of every attach; ip-num judges the rest. */
function readAddress(text: string): Address {
  const plain = text.includes(':') ? readPlainIpv6(text) : readPlainIpv4(text)
  if (plain !== undefined) return plain
  try {
    return text.includes(':')
      ? { family: 6, value: IPv6.fromString(text).value }
      : { family: 4, value: IPv4.fromString(text).value }
  } catch {
    // ip-num's messages name octets and hexadecatets, not what the user wrote.
    throw new InvalidAddressError(text, 'an IPv4 address such as 10.0.0.2 or an IPv6 address such as fd00::2')
  }
}

const DOT = 46
const ZERO = 48

/** Four decimal numbers up to 255 without leading zeros; undefined for any other spelling. */
function readPlainIpv4(text: string): Address | undefined {
  let [value, dots] = [0, 0]
  let octet: number | undefined
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === DOT && octet !== undefined) {
      value = value * 256 + octet
      octet = undefined
      dots++
      continue
    }
    const digit = code - ZERO
    if (digit < 0 || digit > 9 || octet === 0) return undefined
    octet = (octet ?? 0) * 10 + digit
    if (octet > 255) return undefined
  }
  return dots === 3 && octet !== undefined ? { family: 4, value: BigInt(value * 256 + octet) } : undefined
}

/** Up to eight groups of hexadecimal digits with at most one `::`; undefined for any other spelling. */
function readPlainIpv6(text: string): Address | undefined {
  const gap = text.indexOf('::')
  const head = gap < 0 ? text : text.slice(0, gap)
  const tail = gap < 0 ? '' : text.slice(gap + 2)
  const before = head === '' ? [] : head.split(':')
  const after = tail === '' ? [] : tail.split(':')
  const missing = 8 - before.length - after.length
  if (gap < 0 ? missing !== 0 : missing < 1) return undefined
  let value = 0n
  for (const group of before) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined
    value = (value << 16n) | BigInt(parseInt(group, 16))
  }
  value <<= BigInt(missing * 16)
  for (const group of after) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined
    value = (value << 16n) | BigInt(parseInt(group, 16))
  }
  return { family: 6, value }
}

/** Writes an address: dotted decimal, or RFC 5952 for IPv6. */
export function formatAddress(address: Address): string {
  return address.family === 4 ? formatIpv4(address.value) : formatIpv6(address.value)
}

function formatIpv4(value: bigint): string {
  const bits = Number(value)
  return `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function formatIpv6(value: bigint): string {
  const groups: string[] = []
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(((value >> shift) & 0xffffn).toString(16))

  let start = 0
  let length = 1
  for (let from = 0; from < 8; from++) {
    let to = from
    while (to < 8 && groups[to] === '0') to++
    if (to - from > length) {
      start = from
      length = to - from
    }
  }
  if (length < 2) return groups.join(':')
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`
}

/**
 * Reads `ADDRESS/LENGTH`, keeping the host bits.
 *
 * @throws InvalidCidrError (`ERR_INVALID_CIDR`)
 */
export function parseCidr(text: string): Cidr {
  const match = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text)
  if (match === null) throw new InvalidCidrError(text, 'ADDRESS/LENGTH, such as 10.0.0.0/24 or fd00::/64')
  const address = parseAddressOfCidr(text, match[1] ?? '')
  const prefixLength = Number(match[2])
  if (prefixLength > addressBits(address.family)) {
    throw new InvalidCidrError(text, `a prefix length of 0 to ${addressBits(address.family)}`)
  }
  return { address, prefixLength }
}

/** Whether a text is a CIDR that {@link parseCidr} takes, and of the family, where one is named. */
export function isCidr(text: string, family?: AddressFamily): boolean {
  try {
    const { address } = parseCidr(text)
    return family === undefined || address.family === family
  } catch (error) {
    if (error instanceof InvalidCidrError) return false
    throw error
  }
}

function parseAddressOfCidr(text: string, address: string): Address {
  try {
    return parseAddress(address)
  } catch (cause) {
    throw new InvalidCidrError(text, cause instanceof Error ? cause.message : 'ADDRESS/LENGTH')
  }
}

/** Writes `ADDRESS/LENGTH`. */
export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr.address)}/${cidr.prefixLength}`
}

/** The network that `cidr` lies in: the same with its host bits cleared. */
export function networkOf(cidr: Cidr): Cidr {
  const hostBits = hostBitsOf(cidr)
  return {
    address: { family: cidr.address.family, value: (cidr.address.value >> hostBits) << hostBits },
    prefixLength: cidr.prefixLength,
  }
}

/** First and last address of the network that `cidr` lies in. */
export function rangeOf(cidr: Cidr): { readonly first: bigint; readonly last: bigint } {
  const hostBits = hostBitsOf(cidr)
  const first = (cidr.address.value >> hostBits) << hostBits
  return { first, last: first + (1n << hostBits) - 1n }
}

function hostBitsOf(cidr: Cidr): bigint {
  return BigInt(addressBits(cidr.address.family) - cidr.prefixLength)
}

/** The address of a CIDR as it is spelled, `10.0.0.2` of `10.0.0.2/24`; a text without a prefix length as it is. */
export function withoutPrefixLength(cidr: string): string {
  const slash = cidr.indexOf('/')
  return slash < 0 ? cidr : cidr.slice(0, slash)
}

/** Whether `address` lies in the network of `cidr`. */
export function containsAddress(cidr: Cidr, address: Address): boolean {
  if (cidr.address.family !== address.family) return false
  const hostBits = hostBitsOf(cidr)
  return cidr.address.value >> hostBits === address.value >> hostBits
}

/** Whether the networks of `one` and `other` have an address in common. */
export function cidrsOverlap(one: Cidr, other: Cidr): boolean {
  return one.prefixLength <= other.prefixLength
    ? containsAddress(one, other.address)
    : containsAddress(other, one.address)
}

/** The 4 or 16 bytes of an address, most significant first. */
export function addressToBytes(address: Address): Uint8Array {
  const words = addressBits(address.family) / 32
  // Not through a view, for which the array would get a buffer of its own: of so few bytes it has none as it comes.
  const bytes = new Uint8Array(words * 4)
  for (let at = 0; at < words; at++) {
    const word = Number((address.value >> BigInt((words - 1 - at) * 32)) & 0xffffffffn)
    bytes[at * 4] = word >>> 24
    bytes[at * 4 + 1] = word >>> 16
    bytes[at * 4 + 2] = word >>> 8
    bytes[at * 4 + 3] = word
  }
  return bytes
}

/**
 * The address that 4 or 16 bytes spell.
 *
 * @throws InvalidAddressError (`ERR_INVALID_ADDRESS`) for any other number of bytes
 */
export function addressFromBytes(bytes: Uint8Array): Address {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length === 4) return { family: 4, value: BigInt(view.getUint32(0)) }
  if (bytes.length === 16) return { family: 6, value: (view.getBigUint64(0) << 64n) | view.getBigUint64(8) }
  throw new InvalidAddressError(`${bytes.length} bytes`, '4 or 16 bytes')
}
