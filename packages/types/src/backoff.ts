/** How repetitions are spaced out. */
export interface BackoffOptions {
  /** Wait before the first repetition; each waits twice as long as the one before. */
  readonly firstMs: number
  /** The longest wait. */
  readonly maxMs: number
  /** After so long without one, the next goes at once again. */
  readonly quietMs: number
}

/**
 * Spaces out what has to be done again and again, such as putting right what somebody keeps undoing: at once the first
 * time, later and later while it goes on.
 */
export class Backoff {
  readonly #options: BackoffOptions
  #waitMs = 0
  /** When the last one was due. */
  #last: number | undefined

  constructor(options: BackoffOptions) {
    this.#options = options
  }

  /** How long to wait with what there is to do at `now`, in milliseconds; 0 is at once. */
  next(now: number): number {
    const { firstMs, maxMs, quietMs } = this.#options
    if (this.#last === undefined || now - this.#last >= quietMs) this.#waitMs = 0
    else this.#waitMs = Math.min(Math.max(this.#waitMs * 2, firstMs), maxMs)
    this.#last = now + this.#waitMs
    return this.#waitMs
  }
}
