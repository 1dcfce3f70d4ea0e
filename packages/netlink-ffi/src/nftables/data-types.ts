import { addressFromBytes, addressToBytes, formatAddress, parseAddress, type AddressFamily } from '@net/types'
import { viewOf } from '../attributes.ts'
import { MalformedMessageError, ValueOutOfRangeError } from '../errors.ts'
import { littleEndian } from '../writer.ts'
import type { ByteOrder } from './userdata.ts'

/** A value of a set: addresses and interface names are text, protocols, ports and marks are numbers. */
export type NftValue = string | number

interface TypeDescription {
  /** enum datatypes of nftables' datatype.h; the kernel only keeps it for `nft`. */
  readonly number: number
  readonly lengthBytes: number
  readonly byteOrder: ByteOrder
  /** Writes the value at an offset; the bytes there are zero. */
  readonly write: (target: Uint8Array, offset: number, value: NftValue) => void
  readonly read: (bytes: Uint8Array) => NftValue
}

/** The types of the values in sets, by the names that `nft` has for them. */
const dataTypes = {
  nf_proto: { number: 2, lengthBytes: 1, byteOrder: 'host', ...familyName() },
  ipv4_addr: { number: 7, lengthBytes: 4, byteOrder: 'big', ...address(4) },
  ipv6_addr: { number: 8, lengthBytes: 16, byteOrder: 'big', ...address(6) },
  inet_proto: { number: 12, lengthBytes: 1, byteOrder: 'big', ...unsigned('protocol', 1, false) },
  inet_service: { number: 13, lengthBytes: 2, byteOrder: 'big', ...unsigned('port', 2, false) },
  mark: { number: 19, lengthBytes: 4, byteOrder: 'host', ...unsigned('mark', 4, littleEndian) },
  ifname: { number: 41, lengthBytes: 16, byteOrder: 'host', ...interfaceName() },
} as const satisfies Record<string, TypeDescription>

/** The type of a value in a set. */
export type NftDataType = keyof typeof dataTypes

/** The type number of a verdict, in NFTA_SET_DATA_TYPE: NFT_DATA_VERDICT of linux/netfilter/nf_tables.h. */
export const VERDICT_TYPE = 0xffffff00
/** nftables' datatype.h: TYPE_BITS, the room of each part of a concatenation's type number. */
const TYPE_BITS = 6

/** Each part of a concatenation begins at a multiple of four bytes. */
function padded(lengthBytes: number): number {
  return (lengthBytes + 3) & ~3
}

/** The number that tells `nft` of which types a key or its data is. */
export function typeNumber(types: readonly NftDataType[]): number {
  return types.reduce((number, type) => (number << TYPE_BITS) | dataTypes[type].number, 0)
}

/** The bytes that a value of each type, one after another, needs. A single value is not padded. */
export function lengthOf(types: readonly NftDataType[]): number {
  const [first] = types
  if (types.length === 1 && first !== undefined) return dataTypes[first].lengthBytes
  return types.reduce((length, type) => length + padded(dataTypes[type].lengthBytes), 0)
}

/** The bytes of each part, unpadded: what NFTA_SET_DESC_CONCAT says. */
export function partLengths(types: readonly NftDataType[]): number[] {
  return types.map((type) => dataTypes[type].lengthBytes)
}

/** How `nft` is to read the bytes; of a concatenation it asks the parts. */
export function byteOrderOf(types: readonly NftDataType[]): ByteOrder {
  const [first] = types
  return types.length === 1 && first !== undefined ? dataTypes[first].byteOrder : 'none'
}

/**
 * The bytes of `values`, which are of `types`.
 *
 * @throws ValueOutOfRangeError (`ERR_VALUE_OUT_OF_RANGE`), InvalidAddressError (`ERR_INVALID_ADDRESS`)
 */
export function encodeValues(types: readonly NftDataType[], values: readonly NftValue[]): Uint8Array {
  if (types.length !== values.length) {
    throw new ValueOutOfRangeError('value', values.join(' . '), `one of ${types.join(' . ')}`)
  }
  const bytes = new Uint8Array(lengthOf(types))
  let offset = 0
  for (let at = 0; at < types.length; at++) {
    const { lengthBytes, write }: TypeDescription = dataTypes[types[at] ?? 'mark']
    write(bytes, offset, values[at] ?? '')
    offset += padded(lengthBytes)
  }
  return bytes
}

/** The values that `bytes` spell. @throws MalformedMessageError (`ERR_MALFORMED_MESSAGE`) */
export function decodeValues(types: readonly NftDataType[], bytes: Uint8Array): NftValue[] {
  if (bytes.length < lengthOf(types)) {
    throw new MalformedMessageError(`${bytes.length} bytes for ${types.join(' . ')}`, 0)
  }
  let offset = 0
  return types.map((type) => {
    const { lengthBytes, read } = dataTypes[type]
    const value = read(bytes.subarray(offset, offset + lengthBytes))
    offset += padded(lengthBytes)
    return value
  })
}

function address(family: AddressFamily): Pick<TypeDescription, 'write' | 'read'> {
  // Elements of one container come one after another, thousands of them when it publishes thousands of ports.
  let last: { readonly text: string; readonly bytes: Uint8Array } | undefined
  return {
    write(target, offset, value) {
      if (last?.text !== value) {
        const parsed = parseAddress(String(value))
        if (parsed.family !== family) {
          throw new ValueOutOfRangeError('address', String(value), `an IPv${family} address`)
        }
        last = { text: String(value), bytes: addressToBytes(parsed) }
      }
      target.set(last.bytes, offset)
    },
    read: (bytes) => formatAddress(addressFromBytes(bytes)),
  }
}

/** linux/netfilter.h: NFPROTO_IPV4, NFPROTO_IPV6; `nft` writes them so. */
const familyNumbers = { ipv4: 2, ipv6: 10 } as const

function familyName(): Pick<TypeDescription, 'write' | 'read'> {
  return {
    write(target, offset, value) {
      if (value !== 'ipv4' && value !== 'ipv6') throw new ValueOutOfRangeError('family', String(value), 'ipv4 or ipv6')
      target[offset] = familyNumbers[value]
    },
    read(bytes) {
      const found = Object.entries(familyNumbers).find(([, number]) => number === bytes[0])
      if (found === undefined) throw new MalformedMessageError(`family ${bytes[0] ?? 'missing'}`, 0)
      return found[0]
    },
  }
}

function unsigned(what: string, lengthBytes: 1 | 2 | 4, little: boolean): Pick<TypeDescription, 'write' | 'read'> {
  const limit = 2 ** (8 * lengthBytes)
  const method = ({ 1: 'Uint8', 2: 'Uint16', 4: 'Uint32' } as const)[lengthBytes]
  return {
    write(target, offset, value) {
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= limit) {
        throw new ValueOutOfRangeError(what, String(value), `0 to ${limit - 1}`)
      }
      for (let byte = 0; byte < lengthBytes; byte++) {
        target[offset + byte] = value >>> (8 * (little ? byte : lengthBytes - 1 - byte))
      }
    },
    read: (bytes) => viewOf(bytes)[`get${method}`](0, little),
  }
}

/** linux/if.h */
const IFNAMSIZ = 16

/** IFNAMSIZ bytes, zeros after the name. A packet that comes from no interface has the empty one. */
function interfaceName(): Pick<TypeDescription, 'write' | 'read'> {
  return {
    write(target, offset, value) {
      const name = new TextEncoder().encode(String(value))
      if (name.length >= IFNAMSIZ || name.includes(0)) {
        throw new ValueOutOfRangeError('interface name', JSON.stringify(value), 'of at most 15 bytes')
      }
      target.set(name, offset)
    },
    read(bytes) {
      const end = bytes.indexOf(0)
      return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
    },
  }
}
