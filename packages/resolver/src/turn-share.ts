/** What one sandbox may have of a turn of the event loop; the others wait no longer than this for theirs. */
export const SHARE_MS = 1

/** The share that a sandbox has of each turn of the event loop: whoever finds it used up goes on in a later one. */
export class TurnShare {
  readonly #now: () => number
  #end: number | undefined
  /** Those who wait, in the order of their turns. */
  readonly #waiting = new Set<() => void>()

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Whether there is time left in this turn. Where there is none, `goOn` is called once there is. */
  hasTime(goOn: () => void): boolean {
    if (this.#isLeft()) return true
    this.#waiting.add(goOn)
    return false
  }

  /** What `work` returns, which is done once there is time. */
  run<T>(work: () => T): Promise<Awaited<T>> {
    return new Promise((resolve, reject) => {
      const goOn = (): void => {
        if (!this.hasTime(goOn)) return
        try {
          resolve(work() as Awaited<T>)
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      }
      goOn()
    })
  }

  #isLeft(): boolean {
    if (this.#end === undefined) {
      this.#end = this.#now() + SHARE_MS
      setImmediate(() => {
        this.#renew()
      })
    }
    return this.#now() < this.#end
  }

  /** Who has waited longest goes first; who is not done comes behind the others. */
  #renew(): void {
    this.#end = undefined
    for (const goOn of [...this.#waiting]) {
      if (!this.#isLeft()) return
      this.#waiting.delete(goOn)
      goOn()
    }
  }
}
