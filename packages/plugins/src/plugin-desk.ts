import { ClosedError, type CallOptions, type Logger } from '@net/types'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isObject, type Fields } from './plugin-fields.ts'
import { PLUGIN_MEDIA_TYPE, readText } from './plugin-post.ts'
import { within } from './time-limit.ts'

/** What a call came to. */
export interface PluginOutcome {
  readonly answer: object
  /** Undoes it when nobody is there any more to be told. */
  readonly undo?: (() => Promise<void>) | undefined
}

/** Carries a call out. */
export type PluginMethod = (body: Fields, call: CallOptions) => Promise<PluginOutcome>

/** What a {@link Desk} puts up with. */
export interface DeskOptions {
  /** What an error is to those who asked. */
  readonly answerOf: (error: unknown) => object
  readonly timeoutMs: number
  readonly maxRequestBytes: number
  readonly logger: Logger
}

/** Takes requests in, and gives answers out. */
export class Desk {
  readonly #methods: ReadonlyMap<string, PluginMethod>
  readonly #options: DeskOptions
  readonly #underWay = new Set<Promise<void>>()
  readonly #calls = new Set<AbortController>()

  constructor(methods: ReadonlyMap<string, PluginMethod>, options: DeskOptions) {
    this.#methods = methods
    this.#options = options
  }

  /** Never rejects. */
  answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answering = this.#answer(request, response)
      .catch((error: unknown) => {
        this.#options.logger.error({ url: request.url, err: error }, 'plugin request could not be answered')
        response.destroy()
      })
      .finally(() => this.#underWay.delete(answering))
    this.#underWay.add(answering)
    return answering
  }

  /** Gives up what is under way, and resolves when it has ended. */
  async close(): Promise<void> {
    for (const call of this.#calls) call.abort(new ClosedError('the plugin'))
    await Promise.all(this.#underWay)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method === 'POST' ? this.#methods.get(request.url ?? '') : undefined
    if (method === undefined) {
      send(response, 404, { Err: `no such call: ${request.method ?? ''} ${request.url ?? ''}` })
      return
    }
    const text = await readText(request, this.#options.maxRequestBytes)
    const body = text === undefined ? undefined : parseBody(text)
    if (body === undefined) send(response, 400, { Err: 'expected an object of JSON that is not too long' })
    else await this.#carryOut(method, body, response)
  }

  async #carryOut(method: PluginMethod, body: Fields, response: ServerResponse): Promise<void> {
    const call = new AbortController()
    this.#calls.add(call)
    response.once('close', () => {
      call.abort(new Error('the caller has gone'))
    })
    try {
      const { answer, undo } = await within(this.#options.timeoutMs, call, (signal) => method(body, { signal }))
      if (response.destroyed) await undo?.()
      else send(response, 200, answer)
    } catch (error) {
      this.#options.logger.debug({ err: error }, 'plugin request refused')
      send(response, 200, this.#options.answerOf(error))
    } finally {
      this.#calls.delete(call)
    }
  }
}

function parseBody(text: string): Fields | undefined {
  if (text.trim() === '') return {}
  try {
    const body = JSON.parse(text) as unknown
    return isObject(body) ? body : undefined
  } catch {
    return undefined
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': PLUGIN_MEDIA_TYPE }).end(JSON.stringify(body))
}
