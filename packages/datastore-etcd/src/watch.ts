import { HistoryLostError, type StoreChange, type StoreEvent } from '@net/datastore'
import { isNetError, type Logger } from '@net/types'
import { backOffMs } from './back-off.ts'
import { ChangeGroups, type RawChange } from './change-groups.ts'
import type { DamagedValues } from './damage.ts'
import { EtcdAccessDeniedError } from './errors.ts'
import type { Gateway } from './gateway.ts'
import { encodeRange, type KeySpace } from './key-space.ts'
import { decodeWatchReply, type WatchReply } from './watch-reply.ts'
import { pause } from './within.ts'

export interface WatchDeps {
  readonly gateway: Gateway
  readonly keys: KeySpace
  readonly values: DamagedValues
  readonly logger: Logger
}

/**
 * Changes under one prefix, over as many connections as it takes.
 *
 * It reads a message only when it is asked for a change. A reader that is slow fills the connection, then etcd stops
 * sending and goes on from its history later; once that is compacted, the reader learns that it came too late.
 */
export class Watch {
  readonly #deps: WatchDeps
  readonly #prefix: string
  /** Where the next connection goes on. */
  #resumeAt: number
  /** The latest change that was handed out. */
  #seen: number
  #failures = 0
  #wasDenied = false

  constructor(prefix: string, from: number, deps: WatchDeps) {
    this.#deps = deps
    this.#prefix = prefix
    this.#resumeAt = from
    this.#seen = from
  }

  /** Ends only with an error: that of `signal` when it is aborted. */
  async *changes(signal: AbortSignal): AsyncGenerator<StoreChange> {
    for (;;) {
      try {
        yield* this.#connection(signal)
      } catch (error) {
        signal.throwIfAborted()
        if (!isNetError(error, 'ERR_STORE_UNAVAILABLE')) throw error
        this.#failures++
        this.#deps.logger.warn({ prefix: this.#prefix, revision: this.#seen, err: error }, 'watch interrupted')
      }
      if (this.#failures > 0) await pause(backOffMs(this.#failures), signal)
    }
  }

  /** The changes that one connection brings. */
  async *#connection(signal: AbortSignal): AsyncGenerator<StoreChange> {
    const groups = new ChangeGroups()
    const { gateway, keys } = this.#deps
    const create_request = {
      ...encodeRange(keys.range(this.#prefix)),
      // One earlier than needed: etcd does not say that a deletion at the very revision it compacted at is missing.
      start_revision: String(Math.max(1, this.#resumeAt)),
      progress_notify: true,
      fragment: true,
    }
    for await (const message of gateway.stream('watch', { create_request }, signal)) {
      const reply = decodeWatchReply(message)
      if (reply.type === 'events') yield* this.#report(groups.add(reply.events, reply.isFragment))
      else if (this.#follow(reply) === 'again') return
    }
  }

  #follow(reply: Exclude<WatchReply, { type: 'events' }>): 'on' | 'again' {
    switch (reply.type) {
      case 'created':
        this.#failures = 0
        return 'on'
      case 'progress':
        this.#resumeAt = Math.max(this.#resumeAt, reply.revision)
        return 'on'
      case 'compacted':
        throw new HistoryLostError(this.#resumeAt, reply.oldest)
      case 'canceled':
        this.#beDenied(reply.reason)
        return 'again'
    }
  }

  /** etcd ends watches whose token is too old with the words that it has for those who may not watch. */
  #beDenied(reason: string): void {
    const isDenial = /permission denied|auth/.test(reason)
    if (isDenial && (this.#wasDenied || !this.#deps.gateway.renewToken())) throw new EtcdAccessDeniedError(reason)
    this.#wasDenied = isDenial
    if (!isDenial) this.#failures++
  }

  async *#report(changes: readonly RawChange[]): AsyncGenerator<StoreChange> {
    this.#wasDenied = false
    for (const { revision, events } of changes) {
      if (revision <= this.#seen) continue
      this.#seen = revision
      this.#resumeAt = revision
      const named = (await Promise.all(events.map((event) => this.#nameEvent(event)))).flat()
      if (named.length > 0) yield { revision, events: named }
    }
  }

  async #nameEvent(event: RawChange['events'][number]): Promise<StoreEvent[]> {
    const key = this.#deps.keys.nameOf(event.key)
    if (key?.startsWith(this.#prefix) !== true) return []
    if (event.type === 'delete') return [{ type: 'delete', key }]
    const value = await this.#deps.values.open(key, event)
    if (!(value instanceof Uint8Array)) return [{ type: 'damaged', key }]
    return [{ type: 'put', key, value, version: event.version }]
  }
}
