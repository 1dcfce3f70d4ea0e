import type { Answer, Client } from './programs.ts'
import type { Finding, Question } from './report.ts'

/** Longer than any answer takes on a busy machine; it is waited for in vain only when a check fails. */
const ANSWER_TIMEOUT_MS = 5_000
/** Dropped packets are silence, which has to be heard to its end. */
const SILENCE_TIMEOUT_MS = 500

/** Addresses of one machine. */
export interface Addresses {
  readonly ipv4: string
  readonly ipv6: string
}

/** Asks for the same thing over IPv4 and IPv6. */
export interface Asking {
  /** Says who asks whom and how: "container2 fetches from container1". The family is added. */
  readonly name: string
  readonly client: Client
  readonly scheme: 'http' | 'udp'
  readonly at: Addresses
  readonly port?: number | undefined
}

/** Over both families there is this answer: `expected` has the address in it that the server sees. */
export function answers(asking: Asking, expected: (family: keyof Addresses) => string): Question[] {
  return ask(asking, ANSWER_TIMEOUT_MS, (answer, family) => 'body' in answer && answer.body === expected(family))
}

/** Over neither family there is an answer. */
export function isNotAnswered(asking: Asking): Question[] {
  return ask(asking, SILENCE_TIMEOUT_MS, (answer) => 'failure' in answer)
}

/** Over both families the connection is refused: the host is reached, and nothing listens there. */
export function isRefused(asking: Asking): Question[] {
  return ask(asking, ANSWER_TIMEOUT_MS, (answer) => 'failure' in answer && answer.failure === 'ECONNREFUSED')
}

/** Asks for the same thing by a name. */
export interface AskingByName {
  readonly name: string
  readonly client: Client
  /** The name of the server. */
  readonly host: string
}

/** By this name there is an answer, over whichever family: one of `expected`. */
export function answersByName({ name, client, host }: AskingByName, expected: readonly string[]): Question {
  const look = async (): Promise<Finding> => {
    const answer = await client.ask(`http://${host}/`, { timeoutMs: ANSWER_TIMEOUT_MS })
    return { ok: 'body' in answer && expected.includes(answer.body), detail: `http://${host}/ → ${textOf(answer)}` }
  }
  return { name, look }
}

/** By this name nobody is found. */
export function isNotFound({ name, client, host }: AskingByName): Question {
  const look = async (): Promise<Finding> => {
    const answer = await client.ask(`http://${host}/`, { timeoutMs: SILENCE_TIMEOUT_MS })
    return { ok: 'failure' in answer, detail: `http://${host}/ → ${textOf(answer)}` }
  }
  return { name, look }
}

function textOf(answer: Answer): string {
  return 'body' in answer ? answer.body : answer.failure
}

function ask(
  { name, client, scheme, at, port }: Asking,
  timeoutMs: number,
  isRight: (answer: Answer, family: keyof Addresses) => boolean,
): Question[] {
  return (['ipv4', 'ipv6'] as const).map((family) => ({
    name: `${name} over ${family === 'ipv4' ? 'IPv4' : 'IPv6'}`,
    look: async (): Promise<Finding> => {
      const url = urlOf(scheme, at[family], port)
      const answer = await client.ask(url, { timeoutMs })
      return { ok: isRight(answer, family), detail: `${url} → ${textOf(answer)}` }
    },
  }))
}

function urlOf(scheme: 'http' | 'udp', address: string, port: number | undefined): string {
  const host = address.includes(':') ? `[${address}]` : address
  return `${scheme}://${host}${port === undefined ? '' : `:${port}`}${scheme === 'http' ? '/' : ''}`
}
