import { watch, type FSWatcher } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'

/** How often a store that is watched looks for changes without having been told of any: no news may be lost news. */
const SAFETY_POLL_MS = 1000

/** At least so much time lies between two times of telling others. */
const PAUSE_MS = 5

/** Tells processes that share a store that something was written, by writing to a file that they watch. */
export class WakeUp {
  readonly #file: string
  readonly #writable: FileHandle | undefined
  readonly #waiters = new Set<() => void>()
  #watcher: FSWatcher | undefined
  #poll: NodeJS.Timeout | undefined
  #touching: Promise<void> | undefined
  readonly #closing = new AbortController()
  #announced = 0
  #touched = 0

  private constructor(file: string, writable: FileHandle | undefined) {
    this.#file = file
    this.#writable = writable
  }

  static async open(file: string, readOnly: boolean): Promise<WakeUp> {
    return new WakeUp(file, readOnly ? undefined : await open(file, 'a', 0o600))
  }

  /** Wakes this process at once, and the others through the file. */
  announce(): void {
    this.#wake()
    this.#announced++
    this.#touching ??= this.#touch()
  }

  /** Resolves when there may be something new, or when the signal fires. */
  wait(signal: AbortSignal | undefined): Promise<void> {
    this.#watch()
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiters.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiters.add(wake)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }

  async close(): Promise<void> {
    this.#watcher?.close()
    clearInterval(this.#poll)
    this.#wake()
    // A pause that keeps no process alive must not be waited for.
    this.#closing.abort()
    await this.#touching
    await this.#writable?.close()
  }

  readonly #wake = (): void => {
    for (const wake of [...this.#waiters]) wake()
  }

  #watch(): void {
    if (this.#poll !== undefined) return
    this.#poll = setInterval(this.#wake, SAFETY_POLL_MS).unref()
    try {
      this.#watcher = watch(this.#file, { persistent: false }, this.#wake)
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      // The system has no watch left to give: the poll is slower, and does the same.
    }
  }

  async #touch(): Promise<void> {
    while (this.#touched !== this.#announced) {
      this.#touched = this.#announced
      const now = new Date()
      // Whoever misses it finds the change by his poll.
      await this.#writable?.utimes(now, now).catch(() => undefined)
      await setTimeout(PAUSE_MS, undefined, { ref: false, signal: this.#closing.signal }).catch(() => undefined)
    }
    this.#touching = undefined
  }
}
