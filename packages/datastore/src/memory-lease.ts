import { randomId } from '@net/types'
import type { StoreLease } from './store.ts'

/** A lease that renews itself as long as the event loop turns. */
export class MemoryLease implements StoreLease {
  readonly id = randomId()
  readonly ttlMs: number
  readonly #lost = new AbortController()
  readonly #end: (lease: MemoryLease) => void
  readonly #renewal: NodeJS.Timeout
  #expiresAt: number

  /** @param end - called once, when the lease is over: removes what is bound to it */
  constructor(ttlMs: number, end: (lease: MemoryLease) => void) {
    this.ttlMs = ttlMs
    this.#end = end
    this.#expiresAt = performance.now() + ttlMs
    this.#renewal = setInterval(() => {
      if (!this.endIfExpired()) this.#expiresAt = performance.now() + ttlMs
    }, ttlMs / 3).unref()
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /** A process that stood still for too long finds its leases over, as it would with any other store. */
  endIfExpired(): boolean {
    if (performance.now() < this.#expiresAt) return false
    this.#over()
    this.#lost.abort(new Error(`lease ${this.id} was not renewed in time`))
    return true
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- other stores have something to wait for
  async release(): Promise<void> {
    if (this.#expiresAt > 0) this.#over()
  }

  #over(): void {
    this.#expiresAt = 0
    clearInterval(this.#renewal)
    this.#end(this)
  }
}
