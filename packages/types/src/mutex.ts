import type { CallOptions } from './call-options.ts'

/** A lock for one holder at a time; whoever waits is served in order of asking. */
export class Mutex {
  #held = false
  readonly #waiters: (() => void)[] = []

  /**
   * Resolves once the lock is ours; dispose the result to let it go.
   * Rejects with the signal's reason when given up while waiting.
   */
  async lock(call?: CallOptions): Promise<Disposable> {
    call?.signal?.throwIfAborted()
    if (this.#held) await this.#turn(call?.signal)
    else this.#held = true

    let released = false
    return {
      [Symbol.dispose]: () => {
        if (released) return
        released = true
        this.#release()
      },
    }
  }

  /** Whether nobody holds the lock or waits for it. */
  get idle(): boolean {
    return !this.#held
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const take = (): void => {
        signal?.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = (): void => {
        this.#waiters.splice(this.#waiters.indexOf(take), 1)
        reject(signal?.reason as Error)
      }
      this.#waiters.push(take)
      signal?.addEventListener('abort', giveUp, { once: true })
    })
  }

  #release(): void {
    const next = this.#waiters.shift()
    if (next === undefined) this.#held = false
    else next()
  }
}

/** One {@link Mutex} for each key, there only while somebody holds or waits for it. */
export class KeyedMutex<Key> {
  readonly #locks = new Map<Key, Mutex>()

  /** As {@link Mutex.lock}, for the lock of `key`. */
  async lock(key: Key, call?: CallOptions): Promise<Disposable> {
    let mutex = this.#locks.get(key)
    if (mutex === undefined) this.#locks.set(key, (mutex = new Mutex()))
    const held = mutex
    try {
      const lock = await held.lock(call)
      return {
        [Symbol.dispose]: () => {
          lock[Symbol.dispose]()
          this.#forgetIdle(key, held)
        },
      }
    } catch (error) {
      this.#forgetIdle(key, held)
      throw error
    }
  }

  #forgetIdle(key: Key, mutex: Mutex): void {
    if (mutex.idle && this.#locks.get(key) === mutex) this.#locks.delete(key)
  }
}
