/** How many may work at once. */
export interface FairSlotsOptions {
  /** Of all holders together. */
  readonly total: number
  /** Of one holder. */
  readonly each: number
}

/**
 * A number of slots that many holders share. When all are taken, holders are served in turn, each
 * with the one that has waited longest: who asks a thousand times waits behind himself.
 */
export class FairSlots {
  readonly #options: FairSlotsOptions
  readonly #taken = new Map<object, number>()
  /** Holders in the order of their turns, each with those who wait for him. */
  readonly #lines = new Map<object, (() => void)[]>()
  #total = 0

  constructor(options: FairSlotsOptions) {
    this.#options = options
  }

  /** Resolves once there is a slot; dispose the result to let it go. Rejects with the signal's reason when given up. */
  async take(holder: object, signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted()
    if (this.#hasRoom(holder)) this.#enter(holder)
    else await this.#wait(holder, signal)
    let released = false
    return {
      [Symbol.dispose]: () => {
        if (released) return
        released = true
        this.#leave(holder)
      },
    }
  }

  #hasRoom(holder: object): boolean {
    return this.#total < this.#options.total && (this.#taken.get(holder) ?? 0) < this.#options.each
  }

  #enter(holder: object): void {
    this.#total++
    this.#taken.set(holder, (this.#taken.get(holder) ?? 0) + 1)
  }

  #leave(holder: object): void {
    this.#total--
    const taken = (this.#taken.get(holder) ?? 1) - 1
    if (taken === 0) this.#taken.delete(holder)
    else this.#taken.set(holder, taken)
    this.#admitNext()
  }

  #admitNext(): void {
    for (const [holder, line] of this.#lines) {
      if (!this.#hasRoom(holder)) continue
      const admit = line.shift()
      // His next turn comes after all others'.
      this.#lines.delete(holder)
      if (line.length > 0) this.#lines.set(holder, line)
      this.#enter(holder)
      admit?.()
      return
    }
  }

  #wait(holder: object, signal: AbortSignal): Promise<void> {
    const line = this.#lines.get(holder) ?? []
    this.#lines.set(holder, line)
    return new Promise((resolve, reject) => {
      const admit = (): void => {
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = (): void => {
        line.splice(line.indexOf(admit), 1)
        if (line.length === 0 && this.#lines.get(holder) === line) this.#lines.delete(holder)
        reject(signal.reason as Error)
      }
      line.push(admit)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }
}
