import type { Logger } from '@net/types'
import { answeredByContent, answeredByMessage, type Answered, type OnAnswer } from './answered.ts'
import { headerFlags, MAX_MESSAGE_BYTES, MIN_UDP_BYTES, recordTypes } from './dns-codes.ts'
import { fitMessage } from './fit.ts'
import { answerLocally } from './local-answer.ts'
import type { DnsMessage } from './message.ts'
import { readQuery, type Query } from './query.ts'
import { ReadyAnswers } from './ready-answers.ts'
import type { RecordSource } from './record-source.ts'
import { encodeRefusal, encodeReply, type ReplyContent } from './reply.ts'
import { Counters } from './statistics.ts'

/** How a question came, and its answer goes. */
export type Transport = 'udp' | 'tcp'

/** The whole answer to a query from elsewhere, however long, for this asker: his id, his spelling. Never rejects. */
export type Forward = (query: Query, transport: Transport) => Promise<ForwardedAnswer>

/** An answer from elsewhere. */
export interface ForwardedAnswer {
  readonly bytes: Uint8Array
  /** The answer as it came; undefined where none did. */
  readonly message: DnsMessage | undefined
}

/** What a {@link Responder} answers by. */
export interface ResponderDeps {
  readonly sources: readonly RecordSource[]
  readonly forward: Forward
  readonly forwardSingleLabels: boolean
  readonly onAnswer: OnAnswer | undefined
  /** Tell the logger of every question. */
  readonly logQuestions?: boolean | undefined
  readonly counters?: Counters | undefined
  readonly logger: Logger
}

/** The longest payload of a UDP datagram over IPv4. */
const MAX_UDP_BYTES = 65_507
/** Names with more addresses are answered without answers kept ready. */
const MAX_ROTATIONS = 64

/** Turns messages that came in into messages to send: from memory, at once, or from elsewhere. */
export class Responder {
  #forwardSingleLabels: boolean
  readonly #deps: ResponderDeps
  readonly #counters: Counters
  readonly #ready = new ReadyAnswers()
  #readyRevision = NaN
  #rotation = 0

  constructor(deps: ResponderDeps) {
    this.#deps = deps
    this.#counters = deps.counters ?? new Counters()
    this.#forwardSingleLabels = deps.forwardSingleLabels
  }

  /** Whether others are asked for addresses of names without a dot. */
  set forwardSingleLabels(forwardSingleLabels: boolean) {
    this.#forwardSingleLabels = forwardSingleLabels
    // Empty answers to such names are kept ready as others are.
    this.#ready.clear()
  }

  /** An answer that was encoded before to the query by UDP at `start`: all of it but the id. Undefined where there is none. */
  findReady(bytes: Uint8Array, start: number, length: number): Uint8Array | undefined {
    this.#forgetStale()
    const answer = this.#ready.find(bytes, start, length)
    if (answer === undefined) return undefined
    this.#counters.questions++
    this.#counters.ready++
    this.#counters.answered(answer)
    return answer
  }

  /** The answer to a message, or undefined where silence is the answer. Rejects never. */
  respond(message: Uint8Array, transport: Transport): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    this.#counters.questions++
    const answer = this.#respond(message, transport)
    if (answer instanceof Promise) return answer.then((bytes) => this.#counted(bytes))
    return answer === undefined ? undefined : this.#counted(answer)
  }

  #counted(answer: Uint8Array): Uint8Array {
    this.#counters.answered(answer)
    return answer
  }

  #respond(message: Uint8Array, transport: Transport): Uint8Array | undefined | Promise<Uint8Array> {
    const read = readQuery(message)
    switch (read.kind) {
      case 'ignored':
        return undefined
      case 'refused':
        return read.query === undefined
          ? encodeRefusal(message, read.code)
          : encodeReply(read.query, { code: read.code })
      case 'query':
        return this.#deps.logQuestions === true
          ? this.#logged(read.query, transport)
          : this.#answer(read.query, transport)
    }
  }

  /** Answers, and tells the logger of it. */
  async #logged(query: Query, transport: Transport): Promise<Uint8Array> {
    const start = performance.now()
    const bytes = await this.#answer(query, transport)
    const { name, type } = query.question
    const code = (bytes[3] ?? 0) & headerFlags.responseCode
    this.#deps.logger.debug({ name, type, transport, code, ms: performance.now() - start }, 'question answered')
    return bytes
  }

  #answer(query: Query, transport: Transport): Uint8Array | Promise<Uint8Array> {
    try {
      const content = this.#contentFor(query)
      return content === undefined ? this.#forward(query, transport) : this.#encode(query, content, transport)
    } catch (error) {
      // What others wrote: a source that throws, or says what no record can carry.
      this.#deps.logger.error({ question: query.question, err: error }, 'record source failed')
      return encodeReply(query, { code: 'SERVFAIL' })
    }
  }

  #contentFor({ question }: Query): ReplyContent | undefined {
    this.#forgetStale()
    return answerLocally(this.#deps.sources, question) ?? this.#keptHome(question)
  }

  #encode(query: Query, content: ReplyContent, transport: Transport): Uint8Array | Promise<Uint8Array> {
    const limit = limitOf(query, transport)
    const encode = (by: number): Uint8Array => fitMessage(encodeReply(query, rotate(content, by)), limit)
    if (this.#canKeep(query, content, transport)) {
      return this.#ready.encodeNext(query.bytes, Math.max(content.answers?.length ?? 0, 1), encode)
    }
    return this.#reported(query, () => answeredByContent(query.question, content), encode(this.#rotation++))
  }

  /** Where somebody is to be told of each question or answer, each is made anew. */
  #canKeep({ edns }: Query, { answers = [] }: ReplyContent, transport: Transport): boolean {
    if (this.#deps.onAnswer !== undefined || this.#deps.logQuestions === true || transport !== 'udp') return false
    return edns?.hasOptions !== true && answers.length <= MAX_ROTATIONS
  }

  /** Where the sandbox's resolver appends domains, a bare name is not told outside: empty, so that it goes on. */
  #keptHome({ name, type }: Query['question']): ReplyContent | undefined {
    if (this.#forwardSingleLabels || name.includes('.')) return undefined
    return type === recordTypes.A || type === recordTypes.AAAA ? { code: 'NOERROR' } : undefined
  }

  async #forward(query: Query, transport: Transport): Promise<Uint8Array> {
    const { bytes, message } = await this.#deps.forward(query, transport)
    const fitting = fitMessage(bytes, limitOf(query, transport))
    return message === undefined
      ? fitting
      : this.#reported(query, () => answeredByMessage(query.question, message), fitting)
  }

  /** Tells of an answer, then gives it. */
  #reported(query: Query, tell: () => Answered, bytes: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const { onAnswer } = this.#deps
    if (onAnswer === undefined) return bytes
    const failed = (error: unknown): Uint8Array => {
      this.#deps.logger.error({ question: query.question, err: error }, 'answer withheld: could not be reported')
      return encodeReply(query, { code: 'SERVFAIL' })
    }
    try {
      const { question, addresses, ttl } = tell()
      const told = addresses.length === 0 ? undefined : onAnswer(question, addresses, ttl)
      return told === undefined ? bytes : told.then(() => bytes, failed)
    } catch (error) {
      return failed(error)
    }
  }

  #forgetStale(): void {
    let revision = 0
    for (const source of this.#deps.sources) revision += source.revision
    if (revision === this.#readyRevision) return
    this.#readyRevision = revision
    this.#ready.clear()
  }
}

/** How long an answer may be. */
function limitOf({ edns }: Query, transport: Transport): number {
  if (transport === 'tcp') return MAX_MESSAGE_BYTES
  return Math.min(edns?.udpBytes ?? MIN_UDP_BYTES, MAX_UDP_BYTES)
}

/** The same answer, beginning with another record. */
function rotate(content: ReplyContent, by: number): ReplyContent {
  const { answers = [] } = content
  if (answers.length < 2) return content
  const first = by % answers.length
  return { ...content, answers: [...answers.slice(first), ...answers.slice(0, first)] }
}
