import { addressToBytes, parseAddress } from '@net/types'
import {
  CLASS_IN,
  HEADER_BYTES,
  headerFlags,
  MAX_MESSAGE_BYTES,
  recordTypes,
  responseCodes,
  type ResponseCode,
} from './dns-codes.ts'
import { encodeName } from './domain-name.ts'
import { viewOf } from './message.ts'
import type { Query } from './query.ts'

/** The longest answer by UDP that is taken here, as the OPT record says. */
export const OWN_UDP_BYTES = 4096
/** A pointer to the question's name, RFC 1035, 4.1.4. */
const QUESTION_NAME = Uint8Array.of(0xc0, HEADER_BYTES)
const OPT_BYTES = 11

/** What a record says. */
export type RecordData =
  | { readonly type: 'A' | 'AAAA'; readonly address: string }
  | { readonly type: 'PTR'; readonly target: string }
  | { readonly type: 'SRV'; readonly port: number; readonly target: string }
  | { readonly type: 'HINFO'; readonly cpu: string }

/** A record of an answer. */
export type ResourceRecord = RecordData & {
  readonly ttl: number
  /** Whose it is. Absent: the name asked for. */
  readonly name?: string
}

/** What an answer says. */
export interface ReplyContent {
  readonly code: ResponseCode
  readonly answers?: readonly ResourceRecord[]
  readonly additionals?: readonly ResourceRecord[]
}

/**
 * The answer to a query, with its question as it was asked. Records that would make it longer than
 * any message can be are left out, last first.
 */
export function encodeReply(query: Query, content: ReplyContent): Uint8Array {
  const { code, answers = [], additionals = [] } = content
  const writer = new ReplyWriter(query)
  const answerCount = writer.writeAll(answers)
  const additionalCount = writer.writeAll(additionals)
  return writer.finish(code, { answers: answerCount, additionals: additionalCount })
}

/** An answer to a message that could not be read: its id, and nothing of what it asked. */
export function encodeRefusal(message: Uint8Array, code: ResponseCode): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES)
  bytes.set(message.subarray(0, 2))
  const flags = viewOf(message).getUint16(2)
  const kept = flags & (headerFlags.opcode | headerFlags.recursionDesired)
  viewOf(bytes).setUint16(2, headerFlags.response | kept | responseCodes[code])
  return bytes
}

/** Writes one answer from its beginning to its end. */
class ReplyWriter {
  readonly #query: Query
  readonly #parts: Uint8Array[] = []
  #length: number

  constructor(query: Query) {
    this.#query = query
    this.#length = query.questionEnd + (query.edns === undefined ? 0 : OPT_BYTES)
  }

  /** Writes records while there is room; returns how many. */
  writeAll(records: readonly ResourceRecord[]): number {
    let count = 0
    for (const record of records) {
      const bytes = encodeRecord(record)
      if (this.#length + bytes.length > MAX_MESSAGE_BYTES) break
      this.#length += bytes.length
      this.#parts.push(bytes)
      count++
    }
    return count
  }

  finish(code: ResponseCode, counts: { readonly answers: number; readonly additionals: number }): Uint8Array {
    const { bytes: asked, questionEnd, flags, edns } = this.#query
    const bytes = new Uint8Array(this.#length)
    bytes.set(asked.subarray(0, questionEnd))
    const kept = flags & (headerFlags.recursionDesired | headerFlags.checkingDisabled)
    const view = viewOf(bytes)
    view.setUint16(
      2,
      headerFlags.response | headerFlags.recursionAvailable | kept | (responseCodes[code] & headerFlags.responseCode),
    )
    view.setUint16(4, 1)
    view.setUint16(6, counts.answers)
    view.setUint16(8, 0)
    view.setUint16(10, counts.additionals + (edns === undefined ? 0 : 1))
    let at = questionEnd
    for (const part of this.#parts) {
      bytes.set(part, at)
      at += part.length
    }
    if (edns !== undefined) writeOpt(view, at, responseCodes[code], edns.dnssec)
    return bytes
  }
}

/** RFC 6891, 6.1.2: the root as its name, our size as its class, the upper bits of the code and DO as its time to live. */
function writeOpt(view: DataView, at: number, code: number, dnssec: boolean): void {
  view.setUint16(at + 1, recordTypes.OPT)
  view.setUint16(at + 3, OWN_UDP_BYTES)
  view.setUint8(at + 5, code >> 4)
  view.setUint16(at + 7, dnssec ? 0x8000 : 0)
}

function encodeRecord(record: ResourceRecord): Uint8Array {
  const name = record.name === undefined ? QUESTION_NAME : encodeName(record.name)
  const data = encodeData(record)
  const bytes = new Uint8Array(name.length + 10 + data.length)
  const view = viewOf(bytes)
  bytes.set(name)
  view.setUint16(name.length, recordTypes[record.type])
  view.setUint16(name.length + 2, CLASS_IN)
  view.setUint32(name.length + 4, record.ttl)
  view.setUint16(name.length + 8, data.length)
  bytes.set(data, name.length + 10)
  return bytes
}

function encodeData(record: ResourceRecord): Uint8Array {
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return addressToBytes(parseAddress(record.address))
    case 'PTR':
      return encodeName(record.target)
    case 'SRV': {
      // RFC 2782: priority 0, weight 0, port, target.
      const target = encodeName(record.target)
      return Uint8Array.of(0, 0, 0, 0, record.port >> 8, record.port & 0xff, ...target)
    }
    case 'HINFO':
      // RFC 1035, 3.3.2: two strings, each behind its length; the second is empty.
      return Uint8Array.of(record.cpu.length, ...new TextEncoder().encode(record.cpu), 0)
  }
}
