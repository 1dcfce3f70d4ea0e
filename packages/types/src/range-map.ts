/** A value, and the numbers that have it: from `first` to `last`, both included. */
export interface RangeEntry<T> {
  readonly first: number
  readonly last: number
  readonly value: T
}

/** Values at ranges of numbers, none of which overlap: a range of 60 000 ports costs what one port does. */
export class RangeMap<T> implements Iterable<RangeEntry<T>> {
  /** In order. */
  readonly #entries: RangeEntry<T>[] = []

  get size(): number {
    return this.#entries.length
  }

  /** The lowest entry that has a number of `first` to `last`, if there is one. */
  find(first: number, last = first): RangeEntry<T> | undefined {
    const entry = this.#entries[this.#positionOf(first)]
    return entry !== undefined && entry.first <= last ? entry : undefined
  }

  /** All entries that have a number of `first` to `last`, in order. */
  overlapping(first: number, last: number): RangeEntry<T>[] {
    const from = this.#positionOf(first)
    let to = from
    while ((this.#entries[to]?.first ?? Infinity) <= last) to++
    return this.#entries.slice(from, to)
  }

  /** @throws RangeError where a number of the range has a value already, or the range ends before it begins */
  add(first: number, last: number, value: T): void {
    if (first > last || this.find(first, last) !== undefined) throw new RangeError(`range ${first}-${last}`)
    this.#entries.splice(this.#positionOf(first), 0, { first, last, value })
  }

  /** Removes the entry of exactly this range; says whether there was one. */
  remove(first: number, last: number): boolean {
    const position = this.#positionOf(first)
    const entry = this.#entries[position]
    if (entry?.first !== first || entry.last !== last) return false
    this.#entries.splice(position, 1)
    return true
  }

  [Symbol.iterator](): IterableIterator<RangeEntry<T>> {
    return this.#entries.values()
  }

  /** Where the first entry is that does not end before `number`. */
  #positionOf(number: number): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#entries[middle]?.last ?? Infinity) < number) low = middle + 1
      else high = middle
    }
    return low
  }
}
