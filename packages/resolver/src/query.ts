import { CLASS_IN, HEADER_BYTES, headerFlags, MIN_UDP_BYTES, recordTypes, type ResponseCode } from './dns-codes.ts'
import { MalformedDnsMessageError } from './errors.ts'
import { readCounts, readMessage, viewOf, type Question } from './message.ts'

/** Questions of programs have some hundred bytes, signed ones included. Whoever sends more is not to have it kept. */
const MAX_QUERY_BYTES = 2048

/** What the asker says about himself by an OPT record, RFC 6891. */
export interface Edns {
  /** The longest answer by UDP that he takes. */
  readonly udpBytes: number
  /** Whether he wants signatures (DO), RFC 3225. */
  readonly dnssec: boolean
  /** Whether he sent options: answers to those may differ each time. */
  readonly hasOptions: boolean
}

/** A question that can be answered. */
export interface Query {
  /** The message as it came. */
  readonly bytes: Uint8Array
  readonly id: number
  readonly flags: number
  readonly question: Question
  /** Where the question ends in the message. */
  readonly questionEnd: number
  readonly edns: Edns | undefined
}

/** What to do with a message that came in: answer it, refuse it, or say nothing. */
export type ReadQuery =
  | { readonly kind: 'query'; readonly query: Query }
  | { readonly kind: 'refused'; readonly code: ResponseCode; readonly query: Query | undefined }
  | { readonly kind: 'ignored' }

/**
 * Judges a message that came in as a question. Never throws. Silence is for what is no question (an
 * answer, above all: two servers would talk for ever) or asks nothing.
 */
export function readQuery(bytes: Uint8Array): ReadQuery {
  if (bytes.length < HEADER_BYTES) return { kind: 'ignored' }
  const view = viewOf(bytes)
  const flags = view.getUint16(2)
  if ((flags & headerFlags.response) !== 0) return { kind: 'ignored' }
  if ((flags & headerFlags.opcode) !== 0) return refused('NOTIMP')
  const { questions, answers, authorities } = readCounts(view)
  if (questions === 0) return { kind: 'ignored' }
  // RFC 9619: several questions in one message are an error.
  if (questions > 1 || answers > 0 || authorities > 0) return refused('FORMERR')
  try {
    return judge(bytes, view)
  } catch (error) {
    if (error instanceof MalformedDnsMessageError) return refused('FORMERR')
    throw error
  }
}

function judge(bytes: Uint8Array, view: DataView): ReadQuery {
  const { id, flags, question, questionEnd, records } = readMessage(bytes)
  const options = records.filter(({ type }) => type === recordTypes.OPT)
  if (options.length > 1) return refused('FORMERR')
  const opt = options[0]
  const ttlAt = opt?.ttlAt ?? 0
  const edns = opt && {
    // RFC 6891, 6.2.3: less than 512 is taken for 512. The class of an OPT record is this number.
    udpBytes: Math.max(view.getUint16(ttlAt - 2), MIN_UDP_BYTES),
    dnssec: (view.getUint16(ttlAt + 2) & 0x8000) !== 0,
    hasOptions: opt.end > opt.dataStart,
  }
  const query = { bytes, id, flags, question, questionEnd, edns }
  if (opt !== undefined && view.getUint8(ttlAt + 1) !== 0) return refused('BADVERS', query)
  if (bytes.length > MAX_QUERY_BYTES) return refused('REFUSED', query)
  if (question.class !== CLASS_IN || isMeta(question.type)) return refused('REFUSED', query)
  return { kind: 'query', query }
}

/** RFC 6895, 3.1: types that are no data, among them transfers of whole zones; `ANY` alone is asked by programs. */
function isMeta(type: number): boolean {
  return type === recordTypes.OPT || (type >= 128 && type < recordTypes.ANY)
}

function refused(code: ResponseCode, query?: Query): ReadQuery {
  return { kind: 'refused', code, query }
}
