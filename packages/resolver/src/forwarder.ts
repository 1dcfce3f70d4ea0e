import { setMaxListeners } from 'node:events'
import type { Logger } from '@net/types'
import { AnswerCache } from './answer-cache.ts'
import { deadline } from './deadline.ts'
import { HEADER_BYTES, headerFlags, responseCodes, type ResponseCode } from './dns-codes.ts'
import type { FairSlots } from './fair-slots.ts'
import { viewOf, type DnsMessage } from './message.ts'
import type { Places } from './places.ts'
import type { Query } from './query.ts'
import { encodeReply } from './reply.ts'
import type { ForwardedAnswer, Transport } from './responder.ts'
import type { Counters } from './statistics.ts'
import { TurnShare } from './turn-share.ts'
import { askTcp, askUdp, type UpstreamServer } from './upstream.ts'

/** How other servers are asked. */
export interface ForwarderOptions {
  /** How long one server is waited for. */
  readonly serverTimeoutMs: number
  /** After how long SERVFAIL is the answer, whoever was asked until then. */
  readonly timeoutMs: number
  readonly cacheEntries: number
}

/** What a {@link Forwarder} works with. */
export interface ForwarderDeps {
  readonly places: Places
  readonly slots: FairSlots
  readonly counters: Counters
  readonly logger: Logger
  readonly now: () => number
}

/** Servers asked of a list, as everybody's resolver does. */
const MAX_SERVERS = 3
/** Askers that wait at a time; the next are refused. */
const MAX_WAITING = 2048

/** Asks other servers what is not known here, each question once for all who ask it at the same time. */
export class Forwarder {
  readonly #options: ForwarderOptions
  readonly #deps: ForwarderDeps
  readonly #cache: AnswerCache
  readonly #underWay = new Map<string, Promise<DnsMessage>>()
  readonly #closing = new AbortController()
  /** Opening sockets takes its time: a sandbox that asks much is not to keep the others waiting. */
  readonly #share = new TurnShare()
  #servers: readonly UpstreamServer[] = []
  #waiting = 0

  constructor(options: ForwarderOptions, deps: ForwarderDeps) {
    this.#options = options
    this.#deps = deps
    this.#cache = new AnswerCache({ entries: options.cacheEntries, now: deps.now })
    // Every question that is under way listens: as many as there are slots, which is no leak.
    setMaxListeners(0, this.#closing.signal)
  }

  /** Says whom to ask from now on, in this order; nobody when there is none. */
  setServers(servers: readonly UpstreamServer[]): void {
    this.#servers = servers.slice(0, MAX_SERVERS)
    this.#cache.clear()
    // Who asks from now on is not to get what the servers before said.
    this.#underWay.clear()
  }

  /** The answer for one asker: with his id, and the question as he spelled it. Never rejects. */
  async forward(query: Query, transport: Transport): Promise<ForwardedAnswer> {
    if (this.#servers.length === 0) return failure(query, 'SERVFAIL')
    if (this.#waiting >= MAX_WAITING) return failure(query, 'REFUSED')
    this.#waiting++
    try {
      const message = await this.#lookUp(query, transport)
      return { bytes: addressedTo(query, message), message }
    } catch (error) {
      this.#deps.logger.debug({ question: query.question, err: error }, 'question forwarded without success')
      return failure(query, error instanceof OverloadedError ? 'REFUSED' : 'SERVFAIL')
    } finally {
      this.#waiting--
    }
  }

  /** Gives up whatever is under way and waits for that. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('resolver closed'))
    await Promise.allSettled(this.#underWay.values())
  }

  async #lookUp(query: Query, transport: Transport): Promise<DnsMessage> {
    const key = keyOf(query)
    const kept = this.#cache.find(key)
    if (kept !== undefined) {
      this.#deps.counters.cached++
      return kept
    }
    const underWayKey = `${transport} ${key}`
    const underWay = this.#underWay.get(underWayKey)
    if (underWay !== undefined) {
      this.#deps.counters.joined++
      return await underWay
    }
    const asking = this.#timed(() => this.#ask(query, transport, key))
    this.#underWay.set(underWayKey, asking)
    try {
      return await asking
    } finally {
      if (this.#underWay.get(underWayKey) === asking) this.#underWay.delete(underWayKey)
    }
  }

  async #timed<T>(ask: () => Promise<T>): Promise<T> {
    const { counters, now } = this.#deps
    const start = now()
    counters.forwarded++
    try {
      return await ask()
    } finally {
      counters.forwardMs += now() - start
    }
  }

  async #ask(query: Query, transport: Transport, key: string): Promise<DnsMessage> {
    const servers = this.#servers
    using limit = deadline(this.#options.timeoutMs, this.#closing.signal)
    const { signal } = limit
    using _slot = await this.#takeSlot(signal)
    let last: Error = new Error('no server answered')
    for (const server of servers) {
      signal.throwIfAborted()
      try {
        const message = await this.#share.run(() => this.#askServer(server, query, transport, signal))
        if (isFinal(message)) {
          if (servers === this.#servers) this.#cache.keep(key, message)
          return message
        }
        last = new Error(`server ${server.address} answered with code ${message.flags & headerFlags.responseCode}`)
      } catch (error) {
        last = error instanceof Error ? error : new Error(String(error))
        this.#deps.logger.debug({ server, err: error }, 'server did not answer')
      }
    }
    throw last
  }

  async #askServer(
    server: UpstreamServer,
    { bytes, question }: Query,
    transport: Transport,
    signal: AbortSignal,
  ): Promise<DnsMessage> {
    using limit = deadline(this.#options.serverTimeoutMs, signal)
    const exchange = { server, message: bytes, question, signal: limit.signal }
    if (transport === 'tcp') return await askTcp(this.#deps.places, exchange)
    const message = await askUdp(this.#deps.places, exchange)
    if ((message.flags & headerFlags.truncated) === 0) return message
    try {
      return await askTcp(this.#deps.places, exchange)
    } catch (error) {
      // What was cut is better than nothing: it tells the asker to come by TCP himself.
      this.#deps.logger.debug({ server, err: error }, 'server did not answer by TCP')
      return message
    }
  }

  async #takeSlot(signal: AbortSignal): Promise<Disposable> {
    using patience = deadline(this.#options.serverTimeoutMs, signal)
    try {
      return await this.#deps.slots.take(this, patience.signal)
    } catch {
      // Taking a slot fails by giving up alone.
      throw new OverloadedError()
    }
  }
}

/** There was no slot in time. */
class OverloadedError extends Error {}

/** Whether the next server need not be asked: moby, and RFC 8020 for NXDOMAIN. */
function isFinal({ flags }: DnsMessage): boolean {
  const code = flags & headerFlags.responseCode
  return code !== responseCodes.SERVFAIL && code !== responseCodes.REFUSED
}

function failure(query: Query, code: ResponseCode): ForwardedAnswer {
  return { bytes: encodeReply(query, { code }), message: undefined }
}

/** What makes two queries the same: all but their ids and the capitals of the name. */
function keyOf({ bytes, questionEnd }: Query): string {
  const folded = Buffer.from(bytes)
  // Lengths of labels are below 64, so none of them is taken for a capital.
  for (let at = HEADER_BYTES; at < questionEnd - 4; at++) {
    const byte = folded[at] ?? 0
    if (byte >= 0x41 && byte <= 0x5a) folded[at] = byte | 0x20
  }
  return folded.toString('latin1', 2)
}

function addressedTo(query: Query, message: DnsMessage): Uint8Array {
  const bytes = message.bytes.slice()
  viewOf(bytes).setUint16(0, query.id)
  bytes.set(query.bytes.subarray(HEADER_BYTES, query.questionEnd), HEADER_BYTES)
  return bytes
}
