import { setMaxListeners } from 'node:events'
import { StoreClosedError, StoreFullError, StoreUnavailableError } from '@net/datastore'
import { unlessAborted } from '@net/types'
import { backOffMs } from './back-off.ts'
import { Endpoints } from './endpoints.ts'
import { EtcdAccessDeniedError, EtcdRefusedError, EtcdReplyError } from './errors.ts'
import { judge, messageOf, type Failure } from './failure.ts'
import type { ResolvedOptions } from './options.ts'
import { sortOf } from './refusal.ts'
import { decodeToken } from './replies.ts'
import { Session } from './session.ts'
import { Transport } from './transport.ts'
import { WatchStarts } from './watch-starts.ts'
import { pause, TimeIsUp, within } from './within.ts'

/** What is asked of etcd, whichever of its servers answers. */
export interface GatewayCall<T> {
  /** Below `/v3/`. */
  readonly path: string
  readonly body: object
  /** Checks the answer. @throws `ERR_ETCD_REPLY` */
  readonly decode: (reply: unknown) => T
  readonly signal?: AbortSignal | undefined
  /** @defaultValue `requestTimeoutMs` of the options */
  readonly timeoutMs?: number | undefined
}

/** How a call is carried out. */
interface Manner {
  readonly isWrite: boolean
  readonly isAnonymous: boolean
}

/**
 * etcd's JSON gateway: calls that look for a server that answers.
 *
 * What was not sent goes to the next server; so does what was sent and only reads. After each round through the
 * servers there is a pause, which grows.
 */
export class Gateway {
  readonly #options: ResolvedOptions
  readonly #endpoints: Endpoints
  readonly #transport: Transport
  readonly #session: Session
  /** Every write waits for them. */
  readonly watchStarts: WatchStarts
  readonly #closing = new AbortController()

  constructor(options: ResolvedOptions) {
    this.#options = options
    this.#endpoints = new Endpoints(options.endpoints)
    this.#transport = new Transport(options)
    this.watchStarts = new WatchStarts()
    // Every call listens to it.
    setMaxListeners(0, this.closing)
    this.#session = new Session(options.credentials === undefined ? undefined : () => this.#authenticate())
  }

  /** Aborted, with `ERR_STORE_CLOSED`, once {@link Gateway.stop} was called. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** Asks for something, again and again until it is answered or time is up. */
  read<T>(call: GatewayCall<T>): Promise<T> {
    return this.#call(call, { isWrite: false, isAnonymous: false })
  }

  /** Asks for something that must not be done twice: asks again only as long as nothing was sent. */
  async write<T>(call: GatewayCall<T>): Promise<T> {
    await this.watchStarts.settled()
    call.signal?.throwIfAborted()
    try {
      return await this.#call(call, { isWrite: true, isAnonymous: false })
    } catch (error) {
      throw error instanceof EtcdReplyError ? new EtcdReplyError(error.why, 'unknown') : error
    }
  }

  /** The messages of one stream from one server. Ends with an error, always; the next stream is another server's. */
  async *stream(path: string, body: object, signal: AbortSignal): AsyncGenerator {
    const url = this.#endpoints.current
    let token: string | undefined
    try {
      token = await unlessAborted(this.#session.token(), signal)
      yield* this.#transport.stream({ url, path, body, token, signal })
    } catch (error) {
      this.#endpoints.failed(url)
      const failure = judge(error, false)
      const isNextBetter = failure === 'stale-token' && this.#session.forget(token)
      throw this.#asError(url, error, isNextBetter ? 'not-done' : failure, signal)
    }
  }

  /** The next request shows a new token. Returns whether there can be one. */
  renewToken(): boolean {
    return this.#session.forget()
  }

  /** Breaks reads and streams off; writes under way go on, but do not begin again. */
  stop(): void {
    this.#closing.abort(new StoreClosedError())
  }

  /** Ends all connections. */
  close(): void {
    this.#transport.close()
  }

  async #call<T>(call: GatewayCall<T>, manner: Manner): Promise<T> {
    const { timeoutMs = this.#options.requestTimeoutMs } = call
    // What was begun is brought to its end when the store is closed, and so is what it needs.
    const outlives = manner.isWrite || manner.isAnonymous
    const sources = outlives ? [call.signal] : [call.signal, this.closing]
    return within(sources, timeoutMs, (signal) => this.#insist({ ...call, signal }, manner))
  }

  async #insist<T>(call: StartedCall<T>, manner: Manner): Promise<T> {
    let hasRenewed = false
    for (let failures = 0; ;) {
      const url = this.#endpoints.current
      let token: string | undefined
      try {
        if (!manner.isAnonymous) token = await unlessAborted(this.#session.token(), call.signal)
        return await this.#attempt(call, { url, token, isWrite: manner.isWrite })
      } catch (error) {
        const failure = judge(error, manner.isWrite)
        if (failure === 'stale-token' && !hasRenewed && this.#session.forget(token)) {
          hasRenewed = true
          continue
        }
        if (failure !== 'not-done') throw this.#asError(url, error, failure, call.signal)
        this.#endpoints.failed(url)
        failures++
        await this.#pauseAfter(failures, call.signal).catch(() => {
          throw this.#asError(url, error, failure, call.signal)
        })
      }
    }
  }

  async #attempt<T>(call: StartedCall<T>, { url, token, isWrite }: Attempt): Promise<T> {
    const { path, body, signal, decode } = call
    const exchange = async (limited: AbortSignal): Promise<T> =>
      decode(await this.#transport.exchange({ url, path, body, token, signal: limited }))
    // A server that hangs must not use up the time in which another one could answer. A write has no second chance.
    if (isWrite || this.#endpoints.count === 1) return exchange(signal)
    return within([signal], this.#options.requestTimeoutMs / 3, exchange)
  }

  /** Waits after each round through the servers. Rejects when there is no use in another one. */
  async #pauseAfter(failures: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (failures % this.#endpoints.count !== 0) return
    // Writes outlive the beginning of the end, but only where they were sent.
    await pause(backOffMs(failures / this.#endpoints.count), signal, this.closing)
  }

  /** What the caller is told. */
  #asError(url: URL, error: unknown, failure: Failure, signal: AbortSignal): unknown {
    if (signal.aborted && !(signal.reason instanceof TimeIsUp)) return signal.reason
    if (failure === 'not-done' && this.closing.aborted) return this.closing.reason
    if (failure === 'not-done' || failure === 'unknown') {
      const why = signal.aborted ? `${(signal.reason as Error).message}; ${messageOf(error)}` : messageOf(error)
      return new StoreUnavailableError(url.origin, why, failure === 'unknown' ? 'unknown' : 'none', error)
    }
    if (failure === 'denied' || failure === 'stale-token') return new EtcdAccessDeniedError(messageOf(error))
    const isFull = error instanceof EtcdRefusedError && sortOf(error) === 'full'
    return isFull ? new StoreFullError(url.origin, error.reason, error) : error
  }

  /** A token; none where etcd lets everybody in. */
  async #authenticate(): Promise<string | undefined> {
    const { username: name, password } = this.#options.credentials ?? {}
    try {
      const call = { path: 'auth/authenticate', body: { name, password }, decode: decodeToken }
      return await this.#call(call, { isWrite: false, isAnonymous: true })
    } catch (error) {
      if (!(error instanceof EtcdRefusedError) || sortOf(error) !== 'no-auth') throw error
      this.#options.logger.warn({}, 'etcd has no authentication enabled: credentials are not used')
      return undefined
    }
  }
}

interface Attempt {
  readonly url: URL
  readonly token: string | undefined
  readonly isWrite: boolean
}

type StartedCall<T> = GatewayCall<T> & { readonly signal: AbortSignal }
