import { addressFromBytes, formatAddress } from '@net/types'
import { recordTypes } from './dns-codes.ts'
import { foldName, readName } from './domain-name.ts'
import type { DnsMessage, Question } from './message.ts'
import type { ReplyContent } from './reply.ts'

/** An address that an answer gives. */
export interface AnsweredAddress {
  /** Whose address it is: the name asked for, or what that leads to. */
  readonly name: string
  readonly address: string
}

/** What an answer tells the asker. */
export interface Answered {
  readonly question: Question
  /** Every A and AAAA record of the answer. */
  readonly addresses: readonly AnsweredAddress[]
  /** Seconds for which all of them hold. */
  readonly ttl: number
}

/**
 * Told of every answer that gives addresses before it is sent, and awaited: whoever lets traffic
 * pass by name opens the way here. When it fails, SERVFAIL is sent instead.
 */
export type OnAnswer = (question: Question, addresses: readonly AnsweredAddress[], ttl: number) => void | Promise<void>

/** What an answer made here tells. */
export function answeredByContent(question: Question, { answers = [], additionals = [] }: ReplyContent): Answered {
  const addresses: AnsweredAddress[] = []
  let ttl = Infinity
  for (const record of [...answers, ...additionals]) {
    if (record.type !== 'A' && record.type !== 'AAAA') continue
    addresses.push({ name: record.name ?? question.name, address: record.address })
    ttl = Math.min(ttl, record.ttl)
  }
  return { question, addresses, ttl: addresses.length === 0 ? 0 : ttl }
}

/**
 * What an answer from elsewhere tells: the addresses of the name asked for and of those it leads to. Others
 * that a server adds unasked are nobody's business.
 *
 * @throws MalformedDnsMessageError (`ERR_MALFORMED_DNS_MESSAGE`)
 */
export function answeredByMessage(question: Question, { bytes, records }: DnsMessage): Answered {
  const addresses: AnsweredAddress[] = []
  const names = new Set([foldName(question.name)])
  let ttl = Infinity
  for (const { section, start, type, dataStart, end, ttl: seconds } of records) {
    if (section !== 'answer') continue
    const { name } = readName(bytes, start)
    if (!names.has(foldName(name))) continue
    // Aliases stand before what they lead to, RFC 1034, 4.3.2.
    if (type === recordTypes.CNAME) names.add(foldName(readName(bytes, dataStart).name))
    const length = type === recordTypes.A ? 4 : type === recordTypes.AAAA ? 16 : undefined
    if (length !== undefined && length !== end - dataStart) continue
    if (length !== undefined) {
      addresses.push({ name, address: formatAddress(addressFromBytes(bytes.subarray(dataStart, end))) })
    }
    if (length !== undefined || type === recordTypes.CNAME) ttl = Math.min(ttl, seconds)
  }
  return { question, addresses, ttl: addresses.length === 0 ? 0 : ttl }
}
