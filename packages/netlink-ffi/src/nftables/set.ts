import { attributes, be32, be64, bytes, list, zstring } from '../attributes.ts'
import { ValueOutOfRangeError } from '../errors.ts'
import { NLM_F_CREATE, NLM_F_EXCL, type NetlinkMessage, type ReceivedMessage } from '../message.ts'
import { byteOrderOf, lengthOf, partLengths, typeNumber, VERDICT_TYPE, type NftDataType } from './data-types.ts'
import { operationMessage, readHeader, type TableReference } from './nfnetlink.ts'
import { describeTable } from './table.ts'
import { setCommentOf, setUserdata } from './userdata.ts'

/** NFTA_SET_DESC_CONCAT: the bytes of each part of a concatenation. */
const partList = list(1, attributes({ length: [1, be32] }))

/** enum nft_set_attributes */
const setAttributes = attributes({
  table: [1, zstring],
  name: [2, zstring],
  flags: [3, be32],
  keyType: [4, be32],
  keyLength: [5, be32],
  dataType: [6, be32],
  dataLength: [7, be32],
  description: [9, attributes({ size: [1, be32], concatenation: [2, partList] })],
  id: [10, be32],
  timeout: [11, be64],
  userdata: [13, bytes],
  handle: [16, be64],
  count: [20, be32],
})

// enum nft_set_flags
const NFT_SET_INTERVAL = 0x4
const NFT_SET_MAP = 0x8
const NFT_SET_TIMEOUT = 0x10
const NFT_SET_EVAL = 0x20
const NFT_SET_CONCAT = 0x80

/** Only anonymous sets are found by it, yet the kernel wants one of every set. */
const SET_ID = 1

/** Names a set or map. */
export interface SetReference {
  readonly table: TableReference
  readonly name: string
}

/** What a set holds. More than one type is a concatenation: `['ipv4_addr', 'inet_service']`. */
export interface NftSet extends SetReference {
  readonly key: readonly NftDataType[]
  /** Makes it a map: what a key leads to. */
  readonly data?: readonly NftDataType[] | 'verdict' | undefined
  /** Keys may be ranges: `10.0.0.0-10.0.0.255 . 80-90`. */
  readonly interval?: boolean | undefined
  /** Rules add its elements (`nftExpression.remember`), which go after so long, in milliseconds. @defaultValue they stay */
  readonly timeoutMs?: number | undefined
  readonly comment?: string | undefined
}

/** A set as the kernel reports it; which types the numbers stand for is known to who made it. */
export interface NftSetReport extends SetReference {
  readonly handle: bigint
  readonly isMap: boolean
  readonly isInterval: boolean
  readonly keyType: number
  readonly keyLength: number
  readonly comment: string | undefined
  readonly userdata: Uint8Array | undefined
  /** How many elements it has, about, where it is one of intervals; undefined before Linux 6.16. */
  readonly count: number | undefined
}

/** enum nft_registers: keys are looked up in 64 bytes, and `nft` has room for so many type numbers. */
const MAX_KEY_TYPES = 5

/**
 * NFT_MSG_NEWSET. EEXIST when the name is taken.
 *
 * @throws ValueOutOfRangeError (`ERR_VALUE_OUT_OF_RANGE`) for a key of more than five types, and for intervals of marks:
 *   the kernel compares bytes, and those of a mark are in the machine's order
 */
export function addSet(set: NftSet): NetlinkMessage {
  checkKey(set)
  const { table, name, key, data } = set
  const dataTypes = data === 'verdict' ? undefined : data
  const userdata = setUserdata(byteOrderOf(key), dataTypes && byteOrderOf(dataTypes), set.comment)
  return operationMessage({
    operation: 'NFT_MSG_NEWSET',
    flags: NLM_F_CREATE | NLM_F_EXCL,
    family: table.family,
    about: describeSet(set),
    write: (writer) => {
      setAttributes.write(writer, {
        table: table.name,
        name,
        flags: flagsOf(set),
        keyType: typeNumber(key),
        keyLength: lengthOf(key),
        dataType: data === 'verdict' ? VERDICT_TYPE : dataTypes && typeNumber(dataTypes),
        dataLength: dataTypes && lengthOf(dataTypes),
        description: isConcatenatedInterval(set)
          ? { concatenation: partLengths(key).map((length) => ({ length })) }
          : undefined,
        id: SET_ID,
        timeout: set.timeoutMs === undefined ? undefined : BigInt(set.timeoutMs),
        userdata,
      })
    },
  })
}

/** NFT_MSG_DELSET. ENOENT when there is none, EBUSY while a rule looks into it. */
export function deleteSet(set: SetReference): NetlinkMessage {
  return operationMessage({
    operation: 'NFT_MSG_DELSET',
    family: set.table.family,
    about: describeSet(set),
    write: (writer) => {
      setAttributes.write(writer, { table: set.table.name, name: set.name })
    },
  })
}

/** NFT_MSG_GETSET of one set. ENOENT when there is none. */
export function getSet(set: SetReference): NetlinkMessage {
  return operationMessage({
    operation: 'NFT_MSG_GETSET',
    family: set.table.family,
    about: describeSet(set),
    write: (writer) => {
      setAttributes.write(writer, { table: set.table.name, name: set.name })
    },
  })
}

/** NFT_MSG_GETSET, to be dumped: the sets of a table. */
export function listSets(table: TableReference): NetlinkMessage {
  return operationMessage({
    operation: 'NFT_MSG_GETSET',
    family: table.family,
    about: `${describeTable(table)} dump`,
    write: (writer) => {
      setAttributes.write(writer, { table: table.name })
    },
  })
}

/** Reads an NFT_MSG_NEWSET; undefined for a family not known here. @throws MalformedMessageError */
export function decodeSet(message: ReceivedMessage): NftSetReport | undefined {
  const { family, body } = readHeader(message.payload)
  const values = setAttributes.read(body)
  const { table = '', name = '', handle = 0n, flags = 0, keyType = 0, keyLength = 0, userdata } = values
  if (family === undefined) return undefined
  return {
    table: { family, name: table },
    name,
    handle,
    isMap: (flags & NFT_SET_MAP) !== 0,
    isInterval: (flags & NFT_SET_INTERVAL) !== 0,
    keyType,
    keyLength,
    comment: setCommentOf(userdata),
    userdata,
    count: values.count,
  }
}

/** Ranges of several parts at once: each element has both ends of its ranges. */
export function isConcatenatedInterval(set: NftSet): boolean {
  return set.interval === true && set.key.length > 1
}

/** `inet net ports4`, as `nft` writes it. */
export function describeSet(set: SetReference): string {
  return `${describeTable(set.table)} ${set.name}`
}

function checkKey({ name, key, interval }: NftSet): void {
  if (key.length < 1 || key.length > MAX_KEY_TYPES) {
    throw new ValueOutOfRangeError(`key of set ${name}`, key.join(' . '), `1 to ${MAX_KEY_TYPES} types`)
  }
  if (interval === true && key.includes('mark')) {
    throw new ValueOutOfRangeError(`key of interval set ${name}`, key.join(' . '), 'types other than mark')
  }
}

function flagsOf(set: NftSet): number {
  return (
    (set.interval === true ? NFT_SET_INTERVAL : 0) |
    (set.data === undefined ? 0 : NFT_SET_MAP) |
    (set.timeoutMs === undefined ? 0 : NFT_SET_TIMEOUT | NFT_SET_EVAL) |
    (isConcatenatedInterval(set) ? NFT_SET_CONCAT : 0)
  )
}
