import type { StoreLease } from '@net/datastore'

/** What a lease asks of its store. */
export interface LeaseActions {
  /** Resolves to whether the lease was still there to be renewed. */
  renew(id: string, ttlMs: number): Promise<boolean>
  end(id: string): Promise<void>
}

/** A lease that this process renews. */
export class LmdbLease implements StoreLease {
  readonly id: string
  readonly ttlMs: number
  readonly #actions: LeaseActions
  readonly #lost = new AbortController()
  readonly #timer: NodeJS.Timeout
  #renewing: Promise<void> | undefined
  #renewedAt = Date.now()
  #released: Promise<void> | undefined

  constructor(id: string, ttlMs: number, actions: LeaseActions) {
    this.id = id
    this.ttlMs = ttlMs
    this.#actions = actions
    this.#timer = setInterval(() => {
      this.#renewing ??= this.#renew()
    }, ttlMs / 3).unref()
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  release(): Promise<void> {
    return (this.#released ??= this.#release())
  }

  async #release(): Promise<void> {
    clearInterval(this.#timer)
    await this.#renewing
    if (!this.#lost.signal.aborted) await this.#actions.end(this.id)
  }

  async #renew(): Promise<void> {
    const now = Date.now()
    try {
      if (await this.#actions.renew(this.id, this.ttlMs)) this.#renewedAt = now
      else this.#lose()
    } catch {
      // The store cannot be written to. It may again before the lease is over; if not, others end it.
      if (Date.now() - this.#renewedAt >= this.ttlMs) this.#lose()
    }
    this.#renewing = undefined
  }

  #lose(): void {
    clearInterval(this.#timer)
    this.#lost.abort(new Error(`lease ${this.id} was not renewed in time`))
  }
}
