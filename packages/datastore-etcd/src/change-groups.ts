import { EtcdReplyError } from './errors.ts'
import type { RawEvent } from './watch-reply.ts'

/** Of one transaction. etcd takes one of 1.5 MiB, unless it is told otherwise. */
const MAX_GROUP_BYTES = 64 * 1024 * 1024

/** All events of one transaction, as far as they were asked for. */
export interface RawChange {
  readonly revision: number
  readonly events: readonly RawEvent[]
}

/** Puts events together that belong to one transaction, though they come in several messages. */
export class ChangeGroups {
  #pending: RawEvent[] = []
  #pendingBytes = 0

  /** The transactions that are complete now. `isFragment`: the last one's other events are yet to come. */
  add(events: readonly RawEvent[], isFragment: boolean): RawChange[] {
    const complete: RawChange[] = []
    for (const event of events) {
      const version = this.#pending[0]?.version ?? event.version
      if (event.version < version) throw new EtcdReplyError('changes whose revisions fall')
      if (event.version > version) complete.push(...this.#take())
      this.#hold(event)
    }
    return isFragment ? complete : [...complete, ...this.#take()]
  }

  #hold(event: RawEvent): void {
    this.#pending.push(event)
    // What an event takes besides its bytes counts too: deletions have hardly any.
    this.#pendingBytes += 100 + event.key.length + event.value.length
    if (this.#pendingBytes > MAX_GROUP_BYTES) throw new EtcdReplyError('a transaction that does not end')
  }

  #take(): RawChange[] {
    const events = this.#pending
    this.#pending = []
    this.#pendingBytes = 0
    const [first] = events
    return first === undefined ? [] : [{ revision: first.version, events }]
  }
}
