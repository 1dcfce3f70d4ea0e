import type { CallOptions } from '@net/types'
import { setTimeout } from 'node:timers/promises'
import { PluginNotFoundError, PluginReplyError, PluginUnavailableError } from './errors.ts'
import type { PluginAddress } from './plugin-address.ts'
import { isObject, textOf, type Fields } from './plugin-fields.ts'
import { findPlugin, type PluginFolders } from './plugin-files.ts'
import { ConnectionError, postToPlugin, type PluginAnswer } from './plugin-post.ts'
import { remoteError } from './remote-error.ts'
import { TimeIsUp, within } from './time-limit.ts'

/** How to talk to a plugin. */
export interface PluginClientOptions {
  readonly name: string
  /** Absent: it is looked for in the folders. */
  readonly address: PluginAddress | undefined
  readonly folders: PluginFolders
  /** For the answer to a call. */
  readonly timeoutMs: number
  /** How long a plugin that is not there, or that takes no connection, is tried again. */
  readonly retryMs: number
  readonly maxReplyBytes: number
}

/** A pause before the next try; each is twice as long as the one before, up to the last of them. */
const FIRST_PAUSE_MS = 1000
const LAST_PAUSE_MS = 30_000

/** Speaks the plugin protocol, version 1, with one plugin: a POST for each call, with JSON both ways. */
export class PluginClient {
  readonly #options: PluginClientOptions
  #found: PluginAddress | undefined

  constructor(options: PluginClientOptions) {
    this.#options = options
    this.#found = options.address
  }

  /**
   * The answer to a call.
   *
   * @throws `ERR_PLUGIN_NOT_FOUND`, `ERR_PLUGIN_UNAVAILABLE`, `ERR_PLUGIN_REPLY`, `ERR_PLUGIN_REFUSED`, and what the
   *   plugin says with a code
   */
  async call(method: string, body: object | undefined, call: CallOptions = {}): Promise<Fields> {
    call.signal?.throwIfAborted()
    const begun = performance.now()
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS)) {
      try {
        const address = (this.#found ??= await this.#find())
        return readAnswer(method, await this.#exchange(address, method, body, call))
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

function readAnswer(method: string, { status, text }: PluginAnswer): Fields {
  if (text === undefined) throw new PluginReplyError(method, 'it is too long')
  if (status !== 200) throw readRefusal(status, text)
  const answer = parseJson(text)
  if (answer === undefined) throw new PluginReplyError(method, `no JSON: ${JSON.stringify(text.slice(0, 80))}`)
  // What a plugin has nothing to say to is null.
  const fields = answer ?? {}
  if (!isObject(fields)) throw new PluginReplyError(method, 'no object')
  const refuse = (why: string): never => {
    throw new PluginReplyError(method, why)
  }
  const message = textOf(fields, 'Error', refuse)
  if (message !== '') throw remoteError(message, textOf(fields, 'Code', refuse))
  return fields
}

/** Other than with an answer, a plugin says no with `{ "Err": … }`, or in plain words. */
function readRefusal(status: number, text: string): Error {
  const answer = parseJson(text)
  const message = isObject(answer) && typeof answer.Err === 'string' ? answer.Err : text.trim()
  return remoteError(message === '' ? `HTTP status ${status}` : message.slice(0, 1000), '')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
