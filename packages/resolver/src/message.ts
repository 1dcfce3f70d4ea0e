import { HEADER_BYTES, recordTypes } from './dns-codes.ts'
import { readName, skipName } from './domain-name.ts'
import { MalformedDnsMessageError } from './errors.ts'

/** What is asked. */
export interface Question {
  /** As it was asked, capitals kept; see {@link readName} for how it is written. */
  readonly name: string
  readonly type: number
  readonly class: number
}

/** Where a record lies in its message, and the numbers of it that are looked at. */
export interface RecordSpan {
  readonly section: 'answer' | 'authority' | 'additional'
  readonly start: number
  readonly type: number
  /** Where its time to live is written. */
  readonly ttlAt: number
  readonly ttl: number
  readonly dataStart: number
  readonly end: number
}

/** A DNS message that is whole: all it says about lengths and counts is true. */
export interface DnsMessage {
  readonly bytes: Uint8Array
  readonly id: number
  /** The second 16 bits; see `headerFlags`. */
  readonly flags: number
  readonly question: Question
  readonly questionEnd: number
  readonly records: readonly RecordSpan[]
}

/** The four numbers of entries that a header has. */
export interface EntryCounts {
  readonly questions: number
  readonly answers: number
  readonly authorities: number
  readonly additionals: number
}

/** Reads the counts of a header of 12 bytes. */
export function readCounts(view: DataView): EntryCounts {
  return {
    questions: view.getUint16(4),
    answers: view.getUint16(6),
    authorities: view.getUint16(8),
    additionals: view.getUint16(10),
  }
}

/**
 * Reads a message of one question: the names and lengths in it, not what its records say.
 *
 * @throws MalformedDnsMessageError (`ERR_MALFORMED_DNS_MESSAGE`)
 */
export function readMessage(bytes: Uint8Array): DnsMessage {
  if (bytes.length < HEADER_BYTES) throw new MalformedDnsMessageError('header cut short', 0)
  const view = viewOf(bytes)
  const counts = readCounts(view)
  if (counts.questions !== 1) throw new MalformedDnsMessageError(`${counts.questions} questions`, 4)
  const { question, end: questionEnd } = readQuestion(bytes, view)
  const records: RecordSpan[] = []
  let at = questionEnd
  for (const [section, count] of [
    ['answer', counts.answers],
    ['authority', counts.authorities],
    ['additional', counts.additionals],
  ] as const) {
    for (let index = 0; index < count; index++) {
      const record = readRecord(view, bytes, at, section)
      records.push(record)
      at = record.end
    }
  }
  if (at !== bytes.length) throw new MalformedDnsMessageError(`${bytes.length - at} bytes too many`, at)
  return { bytes, id: view.getUint16(0), flags: view.getUint16(2), question, questionEnd, records }
}

/** The question behind a header. */
export function readQuestion(bytes: Uint8Array, view: DataView): { readonly question: Question; readonly end: number } {
  const { name, next } = readName(bytes, HEADER_BYTES)
  if (next + 4 > bytes.length) throw new MalformedDnsMessageError('question cut short', next)
  return { question: { name, type: view.getUint16(next), class: view.getUint16(next + 2) }, end: next + 4 }
}

function readRecord(view: DataView, bytes: Uint8Array, start: number, section: RecordSpan['section']): RecordSpan {
  const fixed = skipName(bytes, start)
  const dataStart = fixed + 10
  if (dataStart > bytes.length) throw new MalformedDnsMessageError('record cut short', fixed)
  const end = dataStart + view.getUint16(fixed + 8)
  if (end > bytes.length) throw new MalformedDnsMessageError(`record data of ${end - dataStart} bytes`, dataStart)
  const type = view.getUint16(fixed)
  if (type === recordTypes.OPT && (section !== 'additional' || fixed !== start + 1)) {
    throw new MalformedDnsMessageError('OPT record where none may be', start)
  }
  const seconds = view.getUint32(fixed + 4)
  // RFC 2181, 8: with the highest bit set it is to be taken for 0.
  const ttl = seconds > 0x7fffffff ? 0 : seconds
  return { section, start, type, ttlAt: fixed + 4, ttl, dataStart, end }
}

/** A view of the same bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
