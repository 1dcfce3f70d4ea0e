const none: readonly never[] = []

/** Several entries under each key, in the order they came. */
export class NameIndex<Entry> {
  readonly #entries = new Map<string, Entry[]>()

  add(key: string, entry: Entry): void {
    const entries = this.#entries.get(key)
    if (entries === undefined) this.#entries.set(key, [entry])
    else entries.push(entry)
  }

  remove(key: string, entry: Entry): void {
    const rest = this.get(key).filter((other) => other !== entry)
    if (rest.length === 0) this.#entries.delete(key)
    else this.#entries.set(key, rest)
  }

  get(key: string): readonly Entry[] {
    return this.#entries.get(key) ?? none
  }
}
