/**
 * Watches that do not know yet at which revision they begin. A write that is called for after a watch waits until the
 * watch knows, for the requests of the two to etcd could pass each other.
 */
export class WatchStarts {
  #beginning: Promise<void> | undefined

  /** A watch begins; it knows where once `position` is settled. */
  add(position: Promise<unknown>): void {
    const all = Promise.allSettled([this.#beginning, position]).then(() => {
      if (this.#beginning === all) this.#beginning = undefined
    })
    this.#beginning = all
  }

  /** Resolves once all watches so far know where they begin, or have failed to learn it. */
  async settled(): Promise<void> {
    await this.#beginning
  }
}
