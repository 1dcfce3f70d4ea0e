import http from 'node:http'
import https from 'node:https'
import { isNetError } from '@net/types'
import { jsonLines } from './json-lines.ts'
import type { ResolvedOptions } from './options.ts'
import { ConnectionError, post, readBody, type PostRequest } from './post.ts'
import { decodeBody, passAnswer } from './refusal.ts'
import { follow, TimeIsUp, within } from './within.ts'

/** Of an answer, or of one message of a stream. */
const MAX_REPLY_BYTES = 8 * 1024 * 1024

/** A request to one server. */
export interface TransportRequest {
  readonly url: URL
  readonly path: string
  readonly body: object
  readonly token: string | undefined
  readonly signal: AbortSignal
}

/**
 * Carries requests to the gateway of one server and answers back.
 *
 * All fail with {@link ConnectionError} where there is no answer, with `ERR_ETCD_REFUSED` where etcd says no and with
 * `ERR_ETCD_REPLY` where the answer makes no sense.
 */
export class Transport {
  readonly #options: ResolvedOptions
  readonly #calls: http.Agent
  /** Of its own: streams stay, and would leave no connection for calls. */
  readonly #streams: http.Agent

  constructor(options: ResolvedOptions) {
    this.#options = options
    const { Agent } = options.endpoints[0]?.protocol === 'https:' ? https : http
    const { ca, cert, key, serverName } = options.tls
    const tls = {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert, key }),
      ...(serverName === undefined ? {} : { servername: serverName }),
    }
    this.#calls = new Agent({ ...tls, keepAlive: true, maxSockets: options.connections })
    this.#streams = new Agent(tls)
  }

  /** One request, one answer. */
  async exchange(request: TransportRequest): Promise<unknown> {
    const response = await post(this.#postOf(request, this.#calls))
    const text = await readBody(response, MAX_REPLY_BYTES)
    const { url, path } = request
    this.#options.logger.debug({ endpoint: url.origin, path, status: response.statusCode }, 'etcd answered')
    return decodeBody(response.statusCode, text)
  }

  /** One request, answers until the stream breaks, which it always does with an error. The first must come in time. */
  async *stream(request: TransportRequest): AsyncGenerator {
    const controller = new AbortController()
    const unfollow = follow(request.signal, controller)
    const limitMs = this.#options.requestTimeoutMs
    const timer = setTimeout(() => {
      controller.abort(new TimeIsUp(limitMs))
    }, limitMs)
    try {
      const response = await post(this.#postOf({ ...request, signal: controller.signal }, this.#streams))
      if (response.statusCode !== 200) decodeBody(response.statusCode, await readBody(response, MAX_REPLY_BYTES))
      this.#guard(request, controller)
      for await (const message of jsonLines(response, MAX_REPLY_BYTES)) {
        clearTimeout(timer)
        yield passAnswer(message)
      }
      throw new Error('the stream ended')
    } catch (error) {
      if (isNetError(error) || error instanceof ConnectionError) throw error
      throw new ConnectionError(true, error)
    } finally {
      clearTimeout(timer)
      unfollow()
      controller.abort()
    }
  }

  /** Ends all connections. */
  close(): void {
    this.#calls.destroy()
    this.#streams.destroy()
  }

  /** A stream that is quiet and one whose server hangs look the same: asks the server now and then. */
  #guard(request: TransportRequest, controller: AbortController): void {
    const { requestTimeoutMs } = this.#options
    const probe = (signal: AbortSignal): Promise<unknown> =>
      this.exchange({ ...request, path: 'maintenance/status', body: {}, signal })
    const timer = setInterval(() => {
      within([controller.signal], requestTimeoutMs, probe).catch((error: unknown) => {
        // One that refuses to answer does answer.
        if (!isNetError(error)) controller.abort(error)
      })
    }, requestTimeoutMs).unref()
    controller.signal.addEventListener('abort', () => {
      clearInterval(timer)
    })
  }

  #postOf(request: TransportRequest, agent: http.Agent): PostRequest {
    const { url, path, body, token, signal } = request
    const { connectTimeoutMs } = this.#options
    return { url: new URL(`/v3/${path}`, url), body: JSON.stringify(body), token, agent, connectTimeoutMs, signal }
  }
}
