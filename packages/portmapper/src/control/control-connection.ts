import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { CallOptions } from '@net/types'
import { ProxyGoneError, ProxyRefusedError } from '../errors.ts'
import type { Forward } from '../forward.ts'
import { openControlFolder } from './control-folder.ts'
import { linesOf } from './lines.ts'
import { formatMessage, FORWARDS_PER_MESSAGE, parseReply, type ControlReply, type ControlRequest } from './messages.ts'

/** Nobody serves: there is no socket, or one that a killed process left, or the process ended before it accepted us. */
const nobody: readonly (string | undefined)[] = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET']

/** What is to be different: at most {@link FORWARDS_PER_MESSAGE} of each. */
export interface ControlChange {
  readonly remove: readonly Forward[]
  readonly add: readonly Forward[]
}

/** A request without its id. */
type Question = ({ readonly do: 'change' } & ControlChange) | { readonly do: 'list'; readonly from: number }

/** A connection to a proxy process. It keeps this process alive while it waits for an answer. */
export class ControlConnection {
  /** Resolves when the process has ended, or the connection to it. */
  readonly closed: Promise<void>
  readonly #socket: Socket
  readonly #waiting = new Map<number, (reply: ControlReply | undefined) => void>()
  #asked = 0
  #pid = 0

  /** Use {@link ControlConnection.connect}. */
  constructor(socket: Socket) {
    this.#socket = socket.unref()
    socket.on('error', () => undefined) // 'close' follows, which says all
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        for (const answer of this.#waiting.values()) answer(undefined)
        this.#waiting.clear()
        resolve()
      })
    })
    void this.#read()
  }

  /** Connects to the process whose socket is in `folder`; undefined where there is none. */
  static async connect(folder: string): Promise<ControlConnection | undefined> {
    using opened = openControlFolder(folder)
    if (opened === undefined) return undefined
    const socket = connect({ path: opened.socket })
    try {
      await once(socket, 'connect')
    } catch (error) {
      if (nobody.includes((error as NodeJS.ErrnoException).code)) return undefined
      throw error
    }
    return new ControlConnection(socket)
  }

  /** The process, once it has answered. */
  get pid(): number {
    return this.#pid
  }

  /** @throws `ERR_PROXY_REFUSED`, `ERR_PROXY_GONE` */
  async list(call?: CallOptions): Promise<Forward[]> {
    const forwards: Forward[] = []
    for (;;) {
      const page = await this.#ask({ do: 'list', from: forwards.length }, call)
      forwards.push(...page)
      if (page.length < FORWARDS_PER_MESSAGE) return forwards
    }
  }

  /**
   * Removes forwards and adds others: all of it or nothing. Whoever gives up waiting does not know which, and is
   * disconnected.
   *
   * @throws `ERR_PROXY_REFUSED`, `ERR_PROXY_GONE`
   */
  async change(change: ControlChange, call?: CallOptions): Promise<void> {
    await this.#ask({ do: 'change', ...change }, call)
  }

  /** Waits for the end of the process, which is under way. */
  async untilClosed(): Promise<void> {
    this.#socket.ref()
    await this.closed
  }

  /** The process goes on. Safe to call twice. */
  async close(): Promise<void> {
    this.#socket.destroy()
    await this.closed
  }

  async #ask(question: Question, call?: CallOptions): Promise<readonly Forward[]> {
    const signal = call?.signal
    signal?.throwIfAborted()
    const giveUp = (): void => {
      this.#socket.destroy()
    }
    signal?.addEventListener('abort', giveUp, { once: true })
    const reply = await this.#exchange(question)
    signal?.removeEventListener('abort', giveUp)
    signal?.throwIfAborted()
    if (reply === undefined) throw new ProxyGoneError()
    this.#pid = reply.pid
    if (reply.error !== undefined) throw new ProxyRefusedError(reply.error)
    return reply.forwards
  }

  /** The answer, or undefined where there comes none. */
  #exchange(question: Question): Promise<ControlReply | undefined> {
    const id = this.#asked++
    const request: ControlRequest = { ...question, id }
    return new Promise((resolve) => {
      if (this.#socket.destroyed) {
        resolve(undefined)
        return
      }
      this.#waiting.set(id, resolve)
      this.#socket.ref().write(formatMessage(request))
    })
  }

  async #read(): Promise<void> {
    try {
      for await (const line of linesOf(this.#socket)) {
        const reply = parseReply(line)
        this.#waiting.get(reply.id)?.(reply)
        this.#waiting.delete(reply.id)
        if (this.#waiting.size === 0) this.#socket.unref()
      }
    } catch {
      // Broken off, or not our process: whoever waits hears that it is gone.
    } finally {
      this.#socket.destroy()
    }
  }
}
