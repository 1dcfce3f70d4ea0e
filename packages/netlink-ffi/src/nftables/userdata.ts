import { MalformedMessageError, ValueOutOfRangeError } from '../errors.ts'
import { littleEndian } from '../writer.ts'

/**
 * Userdata is what the kernel keeps for programs and does not look at. Its layout is agreed among
 * programs: entries of a type byte, a length byte and a value (libnftnl: include/libnftnl/udata.h).
 */
export type UserdataEntry = readonly [type: number, value: Uint8Array]

/** NFTNL_UDATA_*_COMMENT, which has another number for sets. */
const COMMENT = 0
const SET_COMMENT = 7
// NFTNL_UDATA_SET_KEYBYTEORDER, NFTNL_UDATA_SET_DATABYTEORDER
const SET_KEY_BYTE_ORDER = 0
const SET_DATA_BYTE_ORDER = 1
// linux/netfilter/nf_tables.h: NFT_USERDATA_MAXLEN
const MAX_BYTES = 256
const ENTRY_HEADER = 2

/** How `nft` is to read a number: enum byteorder of nftables' datatype.h. */
export const byteOrders = { none: 0, host: 1, big: 2 } as const

export type ByteOrder = keyof typeof byteOrders

/** Lays entries one after another. @throws ValueOutOfRangeError (`ERR_VALUE_OUT_OF_RANGE`) beyond 256 bytes */
export function encodeUserdata(entries: readonly UserdataEntry[]): Uint8Array {
  const parts = entries.flatMap(([type, value]) => [type, value.length, ...value])
  if (parts.length > MAX_BYTES || entries.some(([, value]) => value.length > 255)) {
    throw new ValueOutOfRangeError('userdata', `of ${parts.length} bytes`, `at most ${MAX_BYTES} bytes`)
  }
  return Uint8Array.from(parts)
}

/** The entries of `bytes`, copied. @throws MalformedMessageError (`ERR_MALFORMED_MESSAGE`) */
export function decodeUserdata(bytes: Uint8Array): UserdataEntry[] {
  const entries: UserdataEntry[] = []
  for (let offset = 0; offset < bytes.length;) {
    const end = offset + ENTRY_HEADER + (bytes[offset + 1] ?? 0)
    if (offset + ENTRY_HEADER > bytes.length || end > bytes.length) {
      throw new MalformedMessageError('userdata cut short', offset)
    }
    entries.push([bytes[offset] ?? 0, bytes.slice(offset + ENTRY_HEADER, end)])
    offset = end
  }
  return entries
}

/** The userdata of a table, chain, rule or element that bears a comment. */
export function commentUserdata(comment: string | undefined): Uint8Array | undefined {
  return comment === undefined ? undefined : encodeUserdata([[COMMENT, zeroTerminated(comment)]])
}

/** The userdata of a set: what lets `nft` print its numbers the right way round, and a comment. */
export function setUserdata(key: ByteOrder, data: ByteOrder | undefined, comment: string | undefined): Uint8Array {
  return encodeUserdata([
    [SET_KEY_BYTE_ORDER, hostU32(byteOrders[key])],
    ...(data === undefined ? [] : [[SET_DATA_BYTE_ORDER, hostU32(byteOrders[data])] as const]),
    ...(comment === undefined ? [] : [[SET_COMMENT, zeroTerminated(comment)] as const]),
  ])
}

/** The comment in the userdata of a table, chain, rule or element; undefined where there is none that can be read. */
export function commentOf(userdata: Uint8Array | undefined): string | undefined {
  return textOf(userdata, COMMENT)
}

/** As {@link commentOf}, of a set. */
export function setCommentOf(userdata: Uint8Array | undefined): string | undefined {
  return textOf(userdata, SET_COMMENT)
}

/** Other programs keep other things in their userdata: what has not the agreed layout has no comment. */
function textOf(userdata: Uint8Array | undefined, type: number): string | undefined {
  if (userdata === undefined) return undefined
  try {
    const value = decodeUserdata(userdata).find(([found]) => found === type)?.[1]
    if (value?.at(-1) !== 0) return undefined
    return new TextDecoder().decode(value.subarray(0, value.indexOf(0)))
  } catch (error) {
    if (error instanceof MalformedMessageError) return undefined
    throw error
  }
}

function zeroTerminated(text: string): Uint8Array {
  if (text.includes('\0')) throw new ValueOutOfRangeError('comment', JSON.stringify(text), 'text without a zero byte')
  return new TextEncoder().encode(`${text}\0`)
}

function hostU32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, littleEndian)
  return bytes
}
