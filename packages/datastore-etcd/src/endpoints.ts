/** The servers of a cluster, and which of them is asked: the same one as long as it answers. */
export class Endpoints {
  readonly #all: readonly URL[]
  #current = 0

  constructor(all: readonly URL[]) {
    this.#all = all
  }

  get count(): number {
    return this.#all.length
  }

  get current(): URL {
    const url = this.#all[this.#current]
    if (url === undefined) throw new Error('there is no endpoint')
    return url
  }

  /** Goes on to the next one, unless somebody else has done so already. */
  failed(url: URL): void {
    if (url === this.current) this.#current = (this.#current + 1) % this.#all.length
  }
}
