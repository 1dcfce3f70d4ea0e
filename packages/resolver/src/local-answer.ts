import { recordTypes } from './dns-codes.ts'
import { foldName, isDomainName } from './domain-name.ts'
import type { Question } from './message.ts'
import type { NameRecords, RecordSource, ServiceTarget } from './record-source.ts'
import type { ReplyContent, ResourceRecord } from './reply.ts'
import { addressOfReverseName } from './reverse-name.ts'

/** Seconds that an asker may keep an answer, where the source says nothing else. */
export const DEFAULT_TTL = 600
/** RFC 8482, 4.2 */
const ANY_TTL = 3789
const nothing: ReplyContent = { code: 'NOERROR' }

/**
 * What is to be answered from memory; undefined for what is not known here. A name that is known has
 * an answer to every question, if an empty one: it does not exist outside, and is not to be told there.
 */
export function answerLocally(sources: readonly RecordSource[], question: Question): ReplyContent | undefined {
  const name = foldName(question.name)
  switch (question.type) {
    case recordTypes.A:
      return withName(sources, name, (records) => addressRecords(records, 'A'))
    case recordTypes.AAAA:
      return withName(sources, name, (records) => addressRecords(records, 'AAAA'))
    case recordTypes.SRV:
      return serviceAnswer(sources, name) ?? withName(sources, name, () => [])
    case recordTypes.PTR:
      return pointerAnswer(sources, name) ?? withName(sources, name, () => [])
    case recordTypes.ANY:
      return isKnown(sources, name)
        ? { code: 'NOERROR', answers: [{ type: 'HINFO', cpu: 'RFC8482', ttl: ANY_TTL }] }
        : undefined
    default:
      return isKnown(sources, name) ? nothing : undefined
  }
}

function isKnown(sources: readonly RecordSource[], name: string): boolean {
  return (
    withName(sources, name, () => []) !== undefined ||
    serviceAnswer(sources, name) !== undefined ||
    pointerAnswer(sources, name) !== undefined
  )
}

function withName(
  sources: readonly RecordSource[],
  name: string,
  recordsOf: (found: NameRecords) => readonly ResourceRecord[],
): ReplyContent | undefined {
  const found = firstOf(sources, (source) => source.findName(name))
  return found && { code: 'NOERROR', answers: recordsOf(found) }
}

function addressRecords({ addresses, ttl = DEFAULT_TTL }: NameRecords, type: 'A' | 'AAAA'): ResourceRecord[] {
  return addresses
    .filter((address) => address.includes(':') === (type === 'AAAA'))
    .map((address) => ({ type, address, ttl }))
}

function serviceAnswer(sources: readonly RecordSource[], name: string): ReplyContent | undefined {
  const targets = firstOf(sources, (source) => source.findService(name))
  if (targets === undefined) return undefined
  return {
    code: 'NOERROR',
    answers: targets.map(({ target, port }) => ({ type: 'SRV', target, port, ttl: DEFAULT_TTL })),
    additionals: targets.flatMap(targetAddresses),
  }
}

function targetAddresses({ target, addresses }: ServiceTarget): ResourceRecord[] {
  return addresses.map((address) => ({
    type: address.includes(':') ? 'AAAA' : 'A',
    name: target,
    address,
    ttl: DEFAULT_TTL,
  }))
}

function pointerAnswer(sources: readonly RecordSource[], name: string): ReplyContent | undefined {
  const address = addressOfReverseName(name)
  if (address === undefined) return undefined
  const target = firstOf(sources, (source) => source.findAddress(address))
  if (target === undefined || !isDomainName(target)) return undefined
  return { code: 'NOERROR', answers: [{ type: 'PTR', target, ttl: DEFAULT_TTL }] }
}

function firstOf<T>(sources: readonly RecordSource[], ask: (source: RecordSource) => T | undefined): T | undefined {
  for (const source of sources) {
    const found = ask(source)
    if (found !== undefined) return found
  }
  return undefined
}
