import { HistoryLostError } from './errors.ts'
import type { StoreChange } from './store.ts'

/** The latest changes of a store, one for each revision, and who waits for the next. */
export class ChangeHistory {
  readonly #limit: number
  readonly #changes: StoreChange[] = []
  readonly #waiters = new Set<() => void>()

  constructor(limit: number) {
    this.#limit = limit
  }

  add(change: StoreChange): void {
    this.#changes.push(change)
    if (this.#changes.length > this.#limit) this.#changes.shift()
    this.wake()
  }

  /** The first change after `revision`, if it has come. @throws `ERR_HISTORY_LOST` */
  next(revision: number): StoreChange | undefined {
    const first = this.#changes[0]
    if (first === undefined) return undefined
    if (revision < first.revision - 1) throw new HistoryLostError(revision, first.revision - 1)
    return this.#changes[revision + 1 - first.revision]
  }

  /** Resolves when there may be something new: at a change, at {@link ChangeHistory.wake}, when the signal fires. */
  wait(signal: AbortSignal | undefined): Promise<void> {
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

  wake(): void {
    for (const wake of [...this.#waiters]) wake()
  }
}
