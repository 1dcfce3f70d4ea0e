/** Something that has to hold, and whether it did. */
export interface Check {
  readonly name: string
  readonly ok: boolean
  /** What was seen. */
  readonly detail: string
}

/** What a step took. */
export interface Timing {
  readonly name: string
  readonly ms: number
}

/** What the demo found out: with `--json`, its whole output. */
export interface Result {
  readonly checks: readonly Check[]
  readonly timings: readonly Timing[]
  /** What is there after the demo and was not before. */
  readonly leftovers: readonly string[]
}

/** Where the report goes, as it comes. */
export interface Output {
  /** A new part begins. */
  heading(text: string): void
  /** A step is done. */
  step(timing: Timing, detail: string): void
  check(check: Check, ms: number): void
  /** The very line that a program prints, or a picture. */
  lines(lines: readonly string[]): void
  /** Something the user should know now, whatever form the result has. */
  notice(text: string): void
  /** The end, or the early end of a demo that was interrupted. */
  result(result: Result, end: 'complete' | 'interrupted'): void
}

/** What a check saw. */
export type Finding = Pick<Check, 'ok' | 'detail'>

/** A check to be made. */
export interface Question {
  readonly name: string
  readonly look: () => Promise<Finding>
}

/** Measures steps, makes checks and remembers both. */
export class Recorder {
  readonly checks: Check[] = []
  readonly timings: Timing[] = []
  readonly #output: Output
  readonly #signal: AbortSignal

  /** @param signal once it is aborted, steps that fail do so because they were given up: that is no failed check */
  constructor(output: Output, signal: AbortSignal) {
    this.#output = output
    this.#signal = signal
  }

  /** Whether every check so far holds. */
  get allHold(): boolean {
    return this.checks.every(({ ok }) => ok)
  }

  heading(text: string): void {
    this.#output.heading(text)
  }

  lines(...lines: readonly string[]): void {
    this.#output.lines(lines)
  }

  /** Does a step of the demo. One that fails is a failed check, and the error is thrown on. */
  async step<T>(name: string, work: () => T | Promise<T>, describe?: (value: T) => string): Promise<T> {
    try {
      const { value, ms } = await measure(work)
      this.#note({ name, ms }, describe?.(value) ?? '')
      return value
    } catch (error) {
      if (!this.#signal.aborted) this.#fail(name, error)
      throw error
    }
  }

  /** Does a step of the teardown, which nothing interrupts. */
  async undo(name: string, work: () => void | Promise<void>): Promise<void> {
    try {
      const { ms } = await measure(work)
      this.#note({ name, ms }, '')
    } catch (error) {
      this.#fail(name, error)
      throw error
    }
  }

  /** Looks at everything at once and reports in the order given. */
  async check(...questions: readonly Question[]): Promise<void> {
    const answers = await Promise.all(questions.map(({ look }) => measure(look)))
    questions.forEach(({ name }, at) => {
      const answer = answers[at]
      if (answer !== undefined) this.#record({ name, ...answer.value }, answer.ms)
    })
  }

  /** A failure outside of any step, unless one has been recorded. */
  fail(name: string, error: unknown): void {
    if (this.allHold) this.#fail(name, error)
  }

  #note(timing: Timing, detail: string): void {
    this.timings.push(timing)
    this.#output.step(timing, detail)
  }

  #fail(name: string, error: unknown): void {
    this.#record({ name, ok: false, detail: describeError(error) })
  }

  #record(check: Check, ms?: number): void {
    this.checks.push(check)
    if (ms !== undefined) this.timings.push({ name: check.name, ms })
    this.#output.check(check, ms ?? 0)
  }
}

/** An error with those it contains, in one line. */
export function describeError(error: unknown): string {
  if (error instanceof AggregateError) return [error.message, ...error.errors.map(describeError)].join('; ')
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message} (${describeError(error.cause)})`
}

async function measure<T>(work: () => T | Promise<T>): Promise<{ value: T; ms: number }> {
  const start = performance.now()
  const value = await work()
  return { value, ms: Math.round((performance.now() - start) * 10) / 10 }
}
