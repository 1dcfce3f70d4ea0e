import type { CallOptions } from '@net/types'
import { setTimeout } from 'node:timers/promises'
import { PluginNotFoundError, PluginRefusedError, PluginReplyError, PluginUnavailableError } from './errors.ts'
import type { PluginAddress } from './plugin-address.ts'
import { fieldOf, isObject, refusalOf, textOf, type Fields } from './plugin-fields.ts'
import { findPlugin } from './plugin-files.ts'
import { resolvePluginOptions, type PluginOptions, type ResolvedPluginOptions } from './plugin-options.ts'
import { ConnectionError, postToPlugin, type PluginAnswer } from './plugin-post.ts'
import { TimeIsUp, within } from './time-limit.ts'

/** What plugins can be asked for, as they name it themselves. */
export type PluginKind = 'IpamDriver' | 'NetworkDriver'

/** What the calls of one kind of plugin have that those of others do not. */
export interface PluginDialect {
  readonly kind: PluginKind
  /** The field of an answer that has the plugin's reason to refuse. */
  readonly errorField: 'Error' | 'Err'
  /** The error that such words stand for, with a code beside them if there is one. @defaultValue {@link PluginRefusedError} */
  readonly errorOf?: ((message: string, code: string) => Error) | undefined
}

/** A pause before the next try; each is twice as long as the one before, up to the last of them. */
const FIRST_PAUSE_MS = 1000
const LAST_PAUSE_MS = 30_000

/** Speaks the plugin protocol, version 1, with one plugin: a POST for each call, with JSON both ways. */
export class PluginClient {
  readonly #options: ResolvedPluginOptions
  readonly #dialect: PluginDialect
  #found: PluginAddress | undefined

  /** @throws InvalidPluginError (`ERR_INVALID_PLUGIN`) */
  constructor(options: PluginOptions, dialect: PluginDialect) {
    this.#options = resolvePluginOptions(options)
    this.#dialect = dialect
    this.#found = this.#options.address
  }

  /** The name that the plugin is found by. */
  get name(): string {
    return this.#options.name
  }

  /**
   * The handshake, which comes before everything else.
   *
   * @throws `ERR_PLUGIN_REPLY` where the plugin is one of another kind, and what {@link PluginClient.call} throws
   */
  async activate(call?: CallOptions): Promise<void> {
    const kinds = fieldOf(await this.#ask('Plugin.Activate', undefined, call), 'Implements')
    if (!Array.isArray(kinds) || !kinds.includes(this.#dialect.kind)) {
      throw new PluginReplyError('Plugin.Activate', `it implements no ${this.#dialect.kind}`)
    }
  }

  /**
   * The answer to a call, whose name is given without its kind. What a plugin has nothing to say to is an answer without
   * fields.
   *
   * @throws `ERR_PLUGIN_NOT_FOUND`, `ERR_PLUGIN_UNAVAILABLE`, `ERR_PLUGIN_REPLY`, `ERR_PLUGIN_REFUSED`, and what the
   *   plugin says with a code
   */
  call(method: string, body?: object, call?: CallOptions): Promise<Fields> {
    return this.#ask(`${this.#dialect.kind}.${method}`, body, call)
  }

  async #ask(method: string, body: object | undefined, call: CallOptions = {}): Promise<Fields> {
    call.signal?.throwIfAborted()
    const begun = performance.now()
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS)) {
      try {
        const address = (this.#found ??= await this.#find())
        return readAnswer(this.#dialect, method, await this.#exchange(address, method, body, call))
      } catch (error) {
        const isWorthAnother = isNotSent(error) && performance.now() - begun + pauseMs <= this.#options.retryMs
        if (!isWorthAnother) throw this.#asError(error, call)
        // It may be started anew, elsewhere.
        this.#found = this.#options.address
        await pause(pauseMs, call)
      }
    }
  }

  /** The time limit holds for each try. */
  #exchange(
    address: PluginAddress,
    method: string,
    body: object | undefined,
    call: CallOptions,
  ): Promise<PluginAnswer> {
    const { timeoutMs, maxReplyBytes } = this.#options
    const text = body === undefined ? '' : JSON.stringify(body)
    return within(timeoutMs, call, async (signal) => {
      try {
        return await postToPlugin({ address, path: `/${method}`, body: text, maxReplyBytes, signal })
      } catch (error) {
        if (!signal.aborted) throw error
        const isSent = error instanceof ConnectionError && error.isSent
        throw signal.reason instanceof TimeIsUp ? new ConnectionError(isSent, signal.reason) : signal.reason
      }
    })
  }

  async #find(): Promise<PluginAddress> {
    const { name, folders } = this.#options
    const found = await findPlugin(name, folders)
    if (found === undefined) throw new PluginNotFoundError(name, [...folders.sockets, ...folders.specs])
    return found
  }

  #asError(error: unknown, { signal }: CallOptions): unknown {
    if (signal?.aborted === true) return signal.reason
    if (!(error instanceof ConnectionError)) return error
    return new PluginUnavailableError(this.#options.name, error.message, error.isSent ? 'unknown' : 'none', error)
  }
}

function isNotSent(error: unknown): boolean {
  return error instanceof PluginNotFoundError || (error instanceof ConnectionError && !error.isSent)
}

async function pause(milliseconds: number, { signal }: CallOptions): Promise<void> {
  try {
    await setTimeout(milliseconds, undefined, { ...(signal === undefined ? {} : { signal }) })
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error
  }
}

function readAnswer(dialect: PluginDialect, method: string, { status, text }: PluginAnswer): Fields {
  if (text === undefined) throw new PluginReplyError(method, 'it is too long')
  if (status !== 200) throw readRefusal(dialect, status, text)
  const answer = parseJson(text)
  if (answer === undefined) throw new PluginReplyError(method, `no JSON: ${JSON.stringify(text.slice(0, 80))}`)
  // What a plugin has nothing to say to is null.
  const fields = answer ?? {}
  if (!isObject(fields)) throw new PluginReplyError(method, 'no object')
  const refuse = refusalOf(method)
  const message = textOf(fields, dialect.errorField, refuse)
  if (message !== '') throw errorOf(dialect, message, { code: textOf(fields, 'Code', refuse), status })
  return fields
}

/** Other than with an answer, a plugin says no with `{ "Err": … }`, or in plain words. */
function readRefusal(dialect: PluginDialect, status: number, text: string): Error {
  const answer = parseJson(text)
  const message = isObject(answer) && typeof answer.Err === 'string' ? answer.Err : text.trim()
  return errorOf(dialect, message === '' ? `HTTP status ${status}` : message, { code: '', status })
}

/** A plugin may be as wordy as an answer is long: what people read has an end. */
const LONGEST_MESSAGE = 1000

function errorOf(
  dialect: PluginDialect,
  words: string,
  { code, status }: { readonly code: string; readonly status: number },
): Error {
  const message = words.slice(0, LONGEST_MESSAGE)
  return dialect.errorOf?.(message, code) ?? new PluginRefusedError(message, status)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
