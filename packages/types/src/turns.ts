import type { CallOptions } from './call-options.ts'

/** How long synchronous work may go on before the event loop gets its turn, in milliseconds. */
const SLICE_MS = 2

/** A turn that took longer is followed by one without a step, in milliseconds. */
const LONG_TURN_MS = 3

declare const performance: { now(): number }
declare const setImmediate: ((work: () => void) => unknown) | undefined
declare function setTimeout(work: () => void, delayMs: number): unknown

/** What follows it comes with the next microtask. Node's `queueMicrotask` is the same, with a resource for each call. */
const settled = Promise.resolve()

/** Runs `work` once the event loop has turned. Browsers have no setImmediate. */
const nextTurn: (work: () => void) => unknown =
  typeof setImmediate === 'function' ? setImmediate : (work) => setTimeout(work, 0)

/**
 * Lets the event loop turn between the steps of long synchronous work.
 *
 * A promise that resolves at once does not let timers and sockets run, so a hundred
 * operations with only `await` between their steps are one long stall. Each of them calls
 * {@link Turns.begin} before its first step and {@link Turns.take} before the others: it goes on
 * at once while little was done in this turn of the loop, and else waits in line, one step a turn.
 * Those that have begun go first: fewer are half done at a time, and each is done sooner.
 */
export class Turns {
  readonly #beginning: (() => void)[] = []
  readonly #underWay: (() => void)[] = []
  #sliceStart: number | undefined
  /** Somebody was let go on a moment ago and has done nothing yet: the clock says nothing of his step. */
  #admitting = false
  #isResting = false

  /** Resolves when it is time for an operation's first step. Rejects with the signal's reason when given up. */
  begin(call?: CallOptions): Promise<void> {
    return this.#wait(this.#beginning, call)
  }

  /** Resolves when it is time for the next step. Rejects with the signal's reason when given up. */
  take(call?: CallOptions): Promise<void> {
    return this.#wait(this.#underWay, call)
  }

  async #wait(line: (() => void)[], call?: CallOptions): Promise<void> {
    call?.signal?.throwIfAborted()
    if (this.#goesOn()) return
    await new Promise<void>((resolve) => {
      line.push(resolve)
    })
    call?.signal?.throwIfAborted()
  }

  /** Whether the current turn of the loop has time left and nobody is in line. */
  #goesOn(): boolean {
    if (this.#sliceStart === undefined) {
      this.#sliceStart = performance.now()
      nextTurn(this.#turned)
    } else if (this.#admitting || this.#underWay.length > 0 || this.#beginning.length > 0) {
      return false
    } else if (performance.now() - this.#sliceStart >= SLICE_MS) {
      return false
    }
    this.#admitting = true
    void settled.then(this.#admitted)
    return true
  }

  readonly #admitted = (): void => {
    this.#admitting = false
  }

  readonly #turned = (): void => {
    if (this.#rests()) {
      nextTurn(this.#turned)
      return
    }
    const next = this.#underWay.shift() ?? this.#beginning.shift()
    if (next === undefined) {
      this.#sliceStart = undefined
      return
    }
    this.#sliceStart = performance.now()
    nextTurn(this.#turned)
    next()
  }

  /**
   * Whether this turn is left to others. What took long since the last step (collecting garbage, work of others) and
   * a step add up to what timers wait for; but who is never idle is not waited for twice.
   */
  #rests(): boolean {
    const wasLong = performance.now() - (this.#sliceStart ?? 0) > LONG_TURN_MS
    this.#isResting = wasLong && !this.#isResting
    return this.#isResting
  }
}
