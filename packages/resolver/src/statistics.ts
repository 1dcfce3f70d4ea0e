import { headerFlags, responseCodes, type ResponseCode } from './dns-codes.ts'

/** What a resolver has done since it was opened. All of it only grows. */
export interface ResolverStatistics {
  /** Questions that came, those that silence was the answer to among them. */
  readonly questions: number
  /** Answers given, by their code; codes never given are absent. */
  readonly answers: Readonly<Partial<Record<ResponseCode, number>>>
  /** Answers that were encoded before and sent as they were. */
  readonly ready: number
  /** Questions for other servers whose answer was kept from before. */
  readonly cached: number
  /** Questions for other servers that joined the same question under way. */
  readonly joined: number
  /** Questions that other servers were asked, whatever came of it. */
  readonly forwarded: number
  /** Milliseconds that those took together. */
  readonly forwardMs: number
}

/** Codes as they stand in a header: four bits. */
const CODES = headerFlags.responseCode + 1

/** Counts what a resolver does. Counting allocates nothing. */
export class Counters {
  questions = 0
  ready = 0
  cached = 0
  joined = 0
  forwarded = 0
  forwardMs = 0
  readonly #codes = new Float64Array(CODES)

  /** An answer that is sent. */
  answered(bytes: Uint8Array): void {
    const code = (bytes[3] ?? 0) & headerFlags.responseCode
    this.#codes[code] = (this.#codes[code] ?? 0) + 1
  }

  read(): ResolverStatistics {
    const given = Object.entries(responseCodes)
      .map(([name, code]) => [name, this.#codes[code] ?? 0] as const)
      .filter(([, count]) => count > 0)
    const { questions, ready, cached, joined, forwarded, forwardMs } = this
    return { questions, answers: Object.fromEntries(given), ready, cached, joined, forwarded, forwardMs }
  }
}
