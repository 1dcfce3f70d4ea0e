import { constants } from 'node:os'

/** The signals that ask the demo to end. */
export const handled = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What the demo is interrupted by. SIGPIPE: nobody reads its output any more. */
export type Interruption = (typeof handled)[number] | 'SIGPIPE'

/** Exit status of a program that ended because of a signal, as shells have it. */
export function exitStatusOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

/**
 * Turns Ctrl-C and its like into an abort, so that what has been made can be unmade. The first one counts;
 * those after it change nothing, since the teardown is under way.
 */
export class Interruptions implements Disposable {
  readonly #controller = new AbortController()
  readonly #onRepeated: () => void
  readonly #handle = (signal: Interruption): void => {
    this.interrupt(signal)
  }
  /** Who started us has died. */
  readonly #handleDisconnect = (): void => {
    this.interrupt('SIGHUP')
  }
  #by: Interruption | undefined
  #waiting: (() => void) | undefined

  private constructor(onRepeated: () => void) {
    this.#onRepeated = onRepeated
  }

  /** Listens to signals, and to the end of the channel to a parent, until it is disposed of. @param onRepeated called when somebody is impatient */
  static listen(onRepeated: () => void): Interruptions {
    const interruptions = new Interruptions(onRepeated)
    for (const signal of handled) process.on(signal, interruptions.#handle)
    process.on('disconnect', interruptions.#handleDisconnect)
    return interruptions
  }

  /** Aborted by the first interruption. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The first interruption. */
  get by(): Interruption | undefined {
    return this.#by
  }

  /** Interrupts, as a signal would. */
  interrupt(by: Interruption): void {
    if (this.#waiting !== undefined) {
      this.#waiting()
      return
    }
    if (this.#by !== undefined) {
      this.#onRepeated()
      return
    }
    this.#by = by
    this.#controller.abort(new Error(`interrupted by ${by}`))
  }

  /** Resolves with the next signal, which interrupts nothing: it is waited for. `cancel` ends the waiting. */
  next(): { readonly arrived: Promise<void>; cancel(): void } {
    let cancel = (): void => undefined
    const arrived = new Promise<void>((resolve) => {
      cancel = this.#waiting = () => {
        this.#waiting = undefined
        resolve()
      }
    })
    return { arrived, cancel }
  }

  [Symbol.dispose](): void {
    for (const signal of handled) process.off(signal, this.#handle)
    process.off('disconnect', this.#handleDisconnect)
  }
}
