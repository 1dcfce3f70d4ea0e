/**
 * Work that many ask for at once and that is done once for all of them. It begins after the last of them asked: who
 * asks while it is under way may want to know of something that it has passed already, and shares the next run.
 */
export class SharedRun {
  readonly #work: () => Promise<void>
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(work: () => Promise<void>) {
    this.#work = work
  }

  /** Resolves once a run is over that began after this call. */
  run(): Promise<void> {
    const begin = (): Promise<void> => this.#begin()
    return (this.#next ??= (this.#running ?? Promise.resolve()).then(begin, begin))
  }

  /** Resolves once a run is over, be it one that is under way. */
  join(): Promise<void> {
    return this.#running ?? this.run()
  }

  #begin(): Promise<void> {
    this.#next = undefined
    const running = this.#work().finally(() => {
      this.#running = undefined
    })
    this.#running = running
    return running
  }
}
