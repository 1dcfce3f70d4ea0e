import type { StoreChange } from '@net/datastore'
import { follow } from './within.ts'

/** What a reader of a watch can stop it with. */
export interface WatchStops {
  /** The reader's own: ends the watch without an error. */
  readonly signal: AbortSignal | undefined
  /** The store's: ends it with the signal's reason. */
  readonly closing: AbortSignal
}

/**
 * Hands changes out one at a time. Other than with a generator alone, a reader can stop while it waits for a change.
 */
export class WatchReader implements AsyncIterableIterator<StoreChange> {
  readonly #changes: AsyncGenerator<StoreChange>
  readonly #stopped = new AbortController()
  readonly #stops: WatchStops
  readonly #leave: readonly (() => void)[]

  constructor(begin: (signal: AbortSignal) => AsyncGenerator<StoreChange>, stops: WatchStops) {
    this.#stops = stops
    this.#leave = [follow(stops.signal, this.#stopped), follow(stops.closing, this.#stopped)]
    this.#changes = begin(this.#stopped.signal)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<StoreChange>> {
    try {
      // A change may lie there that came before the end; nobody is interested in it any more.
      this.#stopped.signal.throwIfAborted()
      return await this.#changes.next()
    } catch (error) {
      this.#end()
      const { closing, signal } = this.#stops
      if (closing.aborted && signal?.aborted !== true) throw closing.reason
      if (this.#stopped.signal.aborted) return { done: true, value: undefined }
      throw error
    }
  }

  async return(): Promise<IteratorResult<StoreChange>> {
    this.#end()
    this.#stopped.abort()
    return this.#changes.return(undefined)
  }

  #end(): void {
    for (const step of this.#leave) step()
  }
}
