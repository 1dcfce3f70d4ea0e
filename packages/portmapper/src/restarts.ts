/** When to start again what was lost: at once at first, then less and less often, and not for ever. Keeps no process alive. */
export class Restarts {
  readonly #delaysMs: readonly number[]
  readonly #start: () => void
  #attempts = 0
  #servedSinceMs: number | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(delaysMs: readonly number[], start: () => void) {
    this.#delaysMs = delaysMs
    this.#start = start
  }

  /** It is there. */
  served(): void {
    this.#servedSinceMs ??= performance.now()
    this.cancel()
  }

  /** It is not there: starts it after the next delay, or returns false when there have been enough attempts. */
  schedule(): boolean {
    if (this.#timer !== undefined) return true
    if (this.#hasLasted()) this.#attempts = 0
    this.#servedSinceMs = undefined
    const delayMs = this.#delaysMs[this.#attempts]
    if (delayMs === undefined) return false
    this.#attempts++
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#start()
    }, delayMs).unref()
    return true
  }

  /** Not yet, and not of itself. */
  cancel(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** One that is there for longer than we would wait for it did not end for being started. */
  #hasLasted(): boolean {
    const longestMs = Math.max(0, ...this.#delaysMs)
    return this.#servedSinceMs !== undefined && performance.now() - this.#servedSinceMs > longestMs
  }
}
