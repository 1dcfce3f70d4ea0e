import { closeSync, openSync } from 'node:fs'

/** Takes all descriptors that this process may have, and gives back as many as wished. Closing gives back all. */
export class DescriptorShortage implements Disposable {
  readonly #held: number[] = []

  constructor() {
    this.takeAll()
  }

  /** @returns how many there were to take */
  takeAll(): number {
    const before = this.#held.length
    for (;;) {
      try {
        this.#held.push(openSync('/dev/null', 'r'))
      } catch {
        return this.#held.length - before
      }
    }
  }

  giveBack(count: number): void {
    for (const fd of this.#held.splice(this.#held.length - count)) closeSync(fd)
  }

  [Symbol.dispose](): void {
    this.giveBack(this.#held.length)
  }
}
