import type { CallOptions } from './call-options.ts'

/** How long synchronous work may go on before the event loop gets its turn, in milliseconds. */
const SLICE_MS = 2

declare const performance: { now(): number }
declare const setImmediate: ((work: () => void) => unknown) | undefined
declare function setTimeout(work: () => void, delayMs: number): unknown

/** Runs `work` once the event loop has turned. Browsers have no setImmediate. */
const nextTurn: (work: () => void) => unknown =
  typeof setImmediate === 'function' ? setImmediate : (work) => setTimeout(work, 0)

/**
 * Lets the event loop turn between the steps of long synchronous work.
 *
 * A promise that resolves at once does not let timers and sockets run, so a hundred
 * operations with only `await` between their steps are one long stall. Each of them calls
 * {@link Turns.take} before a step instead: it goes on at once while little was done in this
 * turn of the loop, and else waits in line, one step a turn.
 */
export class Turns {
  readonly #waiting: (() => void)[] = []
  #sliceStart: number | undefined

  /** Resolves when it is time for the next step. Rejects with the signal's reason when given up. */
  async take(call?: CallOptions): Promise<void> {
    call?.signal?.throwIfAborted()
    if (this.#goesOn()) return
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve)
    })
    call?.signal?.throwIfAborted()
  }

  /** Whether the current turn of the loop has time left and nobody is in line. */
  #goesOn(): boolean {
    if (this.#sliceStart === undefined) {
      this.#sliceStart = performance.now()
      nextTurn(this.#turned)
      return true
    }
    return this.#waiting.length === 0 && performance.now() - this.#sliceStart < SLICE_MS
  }

  readonly #turned = (): void => {
    const next = this.#waiting.shift()
    if (next === undefined) {
      this.#sliceStart = undefined
      return
    }
    this.#sliceStart = performance.now()
    nextTurn(this.#turned)
    next()
  }
}
