/**
 * Undoes finished steps, last first, unless {@link Rollback.commit} was called.
 * Every undo is tried; the failures come out together.
 */
export class Rollback implements AsyncDisposable {
  readonly #steps: { readonly what: string; readonly undo: () => void | Promise<void> }[] = []

  /** Remembers how to undo the step just done. */
  defer(what: string, undo: () => void | Promise<void>): void {
    this.#steps.push({ what, undo })
  }

  /** All steps worked: keep them. */
  commit(): void {
    this.#steps.length = 0
  }

  /** Undoes what was not committed. Throws an `AggregateError` with every undo that failed. */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: Error[] = []
    for (const { what, undo } of this.#steps.splice(0).reverse()) {
      try {
        await undo()
      } catch (cause) {
        failures.push(new Error(`could not undo: ${what}`, { cause }))
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'rollback incomplete')
  }
}
