import { NotImplementedError } from '@net/types'
import { attributes, be32, bytes, list, writeAttribute, zstring, type AttributeCodec } from '../attributes.ts'
import { MalformedMessageError } from '../errors.ts'
import { NLM_F_CREATE, NLM_F_EXCL, type NetlinkMessage, type ReceivedMessage } from '../message.ts'
import { Writer } from '../writer.ts'
import { decodeValues, encodeValues, type NftValue } from './data-types.ts'
import { operationMessage, readHeader } from './nfnetlink.ts'
import { describeSet, isConcatenatedInterval, type NftSet } from './set.ts'
import { commentOf, commentUserdata } from './userdata.ts'
import { dataAttributes, type NftVerdict } from './verdict.ts'

/** enum nft_set_elem_attributes */
const elementAttributes = attributes({
  key: [1, dataAttributes],
  data: [2, dataAttributes],
  flags: [3, be32],
  userdata: [6, bytes],
  keyEnd: [10, dataAttributes],
})

type ElementAttributes = Parameters<typeof elementAttributes.write>[1]

// enum nft_set_elem_list_attributes
const NFTA_SET_ELEM_LIST_TABLE = 1
const NFTA_SET_ELEM_LIST_SET = 2
const NFTA_SET_ELEM_LIST_ELEMENTS = 3
const NFTA_LIST_ELEM = 1
/** enum nft_set_elem_flags */
const NFT_SET_ELEM_INTERVAL_END = 1
const NFT_SET_ELEM_CATCHALL = 2

/** An attribute says its length in 16 bits, so a list of more bytes takes several messages. */
const MAX_LIST_BYTES = 0xffff - 4

/** The attributes of one NFT_MSG_NEWSETELEM, as the kernel sends it. */
const elementList = attributes({ elements: [NFTA_SET_ELEM_LIST_ELEMENTS, list(NFTA_LIST_ELEM, elementAttributes)] })

/** An element of a set or map. */
export interface NftElement {
  /** One value for each type of the set's key. */
  readonly key: readonly NftValue[]
  /** Last key of a range, in sets of intervals. @defaultValue the key */
  readonly keyEnd?: readonly NftValue[] | undefined
  /** What the key leads to, in maps. */
  readonly data?: readonly NftValue[] | NftVerdict | undefined
  readonly comment?: string | undefined
}

/** An element as the kernel reports it. */
export interface NftElementReport extends NftElement {
  /** Ends the range that began with the element before it, in sets whose one key is a range: the first key beyond. */
  readonly isIntervalEnd: boolean
}

/**
 * NFT_MSG_NEWSETELEM: puts elements into a set; as many messages as it takes. EEXIST when one is
 * there, whatever it leads to.
 *
 * @throws ValueOutOfRangeError (`ERR_VALUE_OUT_OF_RANGE`) for a value that its type does not have
 */
export function addElements(set: NftSet, elements: readonly NftElement[]): NetlinkMessage[] {
  return elementMessages('NFT_MSG_NEWSETELEM', NLM_F_CREATE | NLM_F_EXCL, set, elements)
}

/** NFT_MSG_DELSETELEM: takes elements out of a set. ENOENT when one is not there. */
export function deleteElements(set: NftSet, elements: readonly NftElement[]): NetlinkMessage[] {
  const keys = elements.map(({ key, keyEnd }) => ({ key, keyEnd }))
  return elementMessages('NFT_MSG_DELSETELEM', 0, set, keys)
}

/** NFT_MSG_GETSETELEM, to be dumped: what a set holds. ENOENT when there is none. */
export function listElements(set: NftSet): NetlinkMessage {
  return operationMessage({
    operation: 'NFT_MSG_GETSETELEM',
    family: set.table.family,
    about: `${describeSet(set)} dump`,
    write: (writer) => {
      writeSetName(writer, set)
    },
  })
}

/**
 * Reads an NFT_MSG_NEWSETELEM about `set`.
 *
 * @throws MalformedMessageError (`ERR_MALFORMED_MESSAGE`), NotImplementedError (`ERR_NOT_IMPLEMENTED`) for the element
 *   that stands for all other keys (`*`), which only other programs make
 */
export function decodeElements(set: NftSet, message: ReceivedMessage): NftElementReport[] {
  const { elements = [] } = elementList.read(readHeader(message.payload).body)
  return elements.map((element) => decodeElement(set, element))
}

function decodeElement(set: NftSet, element: ElementAttributes): NftElementReport {
  const { key, keyEnd, data, flags = 0, userdata } = element
  if ((flags & NFT_SET_ELEM_CATCHALL) !== 0) throw new NotImplementedError(`catch-all element of ${describeSet(set)}`)
  if (key?.value === undefined) throw new MalformedMessageError('element without a key', 0)
  const comment = commentOf(userdata)
  return {
    key: decodeValues(set.key, key.value),
    ...(keyEnd?.value === undefined ? {} : { keyEnd: decodeValues(set.key, keyEnd.value) }),
    ...(data === undefined ? {} : { data: decodeData(set, data) }),
    ...(comment === undefined ? {} : { comment }),
    isIntervalEnd: (flags & NFT_SET_ELEM_INTERVAL_END) !== 0,
  }
}

function decodeData(set: NftSet, data: NonNullable<ElementAttributes['data']>): readonly NftValue[] | NftVerdict {
  if (data.verdict !== undefined) return data.verdict
  if (data.value === undefined || set.data === undefined || set.data === 'verdict') {
    throw new MalformedMessageError(`data of an element of ${set.name}`, 0)
  }
  return decodeValues(set.data, data.value)
}

function elementMessages(
  operation: 'NFT_MSG_NEWSETELEM' | 'NFT_MSG_DELSETELEM',
  flags: number,
  set: NftSet,
  elements: readonly NftElement[],
): NetlinkMessage[] {
  // By hand, as there may be thousands: flatMap takes several times as long.
  const encoded: ElementAttributes[] = []
  for (const element of elements) encoded.push(...encodeElement(set, element))
  return chunks(encoded).map(({ count, body }) =>
    operationMessage({
      operation,
      flags,
      family: set.table.family,
      about: `${describeSet(set)} (${count} ${count === 1 ? 'element' : 'elements'})`,
      write: (writer) => {
        writeSetName(writer, set)
        writeAttribute(writer, NFTA_SET_ELEM_LIST_ELEMENTS, written, body)
      },
    }),
  )
}

function writeSetName(writer: Writer, set: NftSet): void {
  writeAttribute(writer, NFTA_SET_ELEM_LIST_TABLE, zstring, set.table.name)
  writeAttribute(writer, NFTA_SET_ELEM_LIST_SET, zstring, set.name)
}

/** A nested attribute whose content was written before. */
const written: AttributeCodec<Uint8Array> = { ...bytes, nested: true }

/** Writes elements into as few lists as their length allows. */
function chunks(elements: readonly ElementAttributes[]): { readonly count: number; readonly body: Uint8Array }[] {
  const writer = new Writer()
  const lists: { count: number; from: number; to: number }[] = []
  for (const element of elements) {
    const from = writer.length
    writeAttribute(writer, NFTA_LIST_ELEM, elementAttributes, element)
    const last = lists.at(-1)
    if (last !== undefined && writer.length - last.from <= MAX_LIST_BYTES) {
      last.count++
      last.to = writer.length
    } else {
      lists.push({ count: 1, from, to: writer.length })
    }
  }
  const all = writer.written()
  return lists.map(({ count, from, to }) => ({ count, body: all.subarray(from, to) }))
}

/**
 * What the kernel is told of one element. Where one key is a range, its end is an element of its
 * own: the first key beyond, with a flag. Where several are, both ends are in one element.
 */
function encodeElement(set: NftSet, element: NftElement): ElementAttributes[] {
  const key = encodeValues(set.key, element.key)
  const start: ElementAttributes = {
    key: { value: key },
    data: element.data === undefined ? undefined : encodeData(set, element.data),
    userdata: commentUserdata(element.comment),
  }
  if (set.interval !== true) return [start]

  const last = element.keyEnd === undefined ? key : encodeValues(set.key, element.keyEnd)
  if (isConcatenatedInterval(set)) return [{ ...start, keyEnd: { value: last } }]
  const beyond = successor(last)
  if (beyond === undefined) return [start]
  return [start, { key: { value: beyond }, flags: NFT_SET_ELEM_INTERVAL_END }]
}

function encodeData(set: NftSet, data: readonly NftValue[] | NftVerdict): NonNullable<ElementAttributes['data']> {
  if (typeof data === 'string') return { verdict: data }
  return { value: encodeValues(set.data === 'verdict' ? [] : (set.data ?? []), data) }
}

/** The number after the one that `bytes` spell, most significant first; undefined after the last. */
function successor(bytes: Uint8Array): Uint8Array | undefined {
  const next = bytes.slice()
  for (let at = next.length - 1; at >= 0; at--) {
    const byte = ((next[at] ?? 0) + 1) & 0xff
    next[at] = byte
    if (byte !== 0) return next
  }
  return undefined
}
