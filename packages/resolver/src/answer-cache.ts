import { headerFlags, recordTypes, responseCodes } from './dns-codes.ts'
import { skipName } from './domain-name.ts'
import { readMessage, viewOf, type DnsMessage } from './message.ts'

/** RFC 2308, 5: an answer that something does not exist is not believed for longer. */
const MAX_NEGATIVE_SECONDS = 3600
const MAX_SECONDS = 86_400
/** Longer answers are rare and not kept, so that what is kept stays small. */
const MAX_MESSAGE_BYTES = 4096
/** Of a query with more options than anybody needs, likewise. */
const MAX_KEY_LENGTH = 512

interface Entry {
  readonly message: DnsMessage
  readonly storedAt: number
  readonly expiresAt: number
}

/** What can be chosen about an {@link AnswerCache}. */
export interface AnswerCacheOptions {
  /** Answers kept at most; 0 keeps none. */
  readonly entries: number
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number
}

/** Answers of other servers, for as long as those said. The one that was not asked for longest goes first. */
export class AnswerCache {
  readonly #options: AnswerCacheOptions
  readonly #entries = new Map<string, Entry>()

  constructor(options: AnswerCacheOptions) {
    this.#options = options
  }

  /** The answer kept, with what is left of its times to live; undefined when there is none. */
  find(key: string): DnsMessage | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    const now = this.#options.now()
    if (now >= entry.expiresAt) return undefined
    this.#entries.set(key, entry)
    return aged(entry.message, Math.floor((now - entry.storedAt) / 1000))
  }

  /** Keeps an answer, where it may be kept. */
  keep(key: string, message: DnsMessage): void {
    const seconds = secondsToKeep(message)
    if (seconds <= 0 || this.#options.entries === 0) return
    if (key.length > MAX_KEY_LENGTH || message.bytes.length > MAX_MESSAGE_BYTES) return
    const storedAt = this.#options.now()
    this.#entries.delete(key)
    const oldest = this.#entries.size >= this.#options.entries ? this.#entries.keys().next().value : undefined
    if (oldest !== undefined) this.#entries.delete(oldest)
    this.#entries.set(key, { message, storedAt, expiresAt: storedAt + seconds * 1000 })
  }

  /** Forgets everything: other servers may say otherwise. */
  clear(): void {
    this.#entries.clear()
  }
}

/** For how long an answer holds; 0 for one that may not be kept. */
export function secondsToKeep(message: DnsMessage): number {
  const { flags, records } = message
  const code = flags & headerFlags.responseCode
  if ((flags & headerFlags.truncated) !== 0) return 0
  if (code !== responseCodes.NOERROR && code !== responseCodes.NXDOMAIN) return 0
  const timed = records.filter(({ type }) => type !== recordTypes.OPT)
  const shortest = Math.min(MAX_SECONDS, ...timed.map(({ ttl }) => ttl))
  const isPositive = code === responseCodes.NOERROR && records.some(({ section }) => section === 'answer')
  // An alias that leads to nothing has answers and yet is negative; then its SOA says how long.
  if (isPositive && !hasOnlyAliases(message)) return shortest
  return Math.min(shortest, negativeSeconds(message), MAX_NEGATIVE_SECONDS)
}

function hasOnlyAliases({ records, question }: DnsMessage): boolean {
  const answers = records.filter(({ section }) => section === 'answer')
  return question.type !== recordTypes.CNAME && answers.every(({ type }) => type === recordTypes.CNAME)
}

/** RFC 2308, 3 and 5: the lesser of the SOA record's time to live and its last number. Without one, nothing is kept. */
function negativeSeconds({ bytes, records }: DnsMessage): number {
  const soa = records.find(({ section, type }) => section === 'authority' && type === recordTypes.SOA)
  if (soa === undefined) return 0
  const numbers = skipName(bytes, skipName(bytes, soa.dataStart))
  if (numbers + 20 !== soa.end) return 0
  return Math.min(soa.ttl, viewOf(bytes).getUint32(numbers + 16))
}

/** The same answer, after some seconds. */
function aged(message: DnsMessage, seconds: number): DnsMessage {
  const bytes = message.bytes.slice()
  const view = viewOf(bytes)
  for (const { type, ttlAt, ttl } of message.records) {
    if (type !== recordTypes.OPT) view.setUint32(ttlAt, Math.max(ttl - seconds, 0))
  }
  return readMessage(bytes)
}
