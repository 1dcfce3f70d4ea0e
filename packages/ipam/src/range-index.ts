/** Addresses `first` to `last`, both included. */
export interface Range {
  readonly first: bigint
  readonly last: bigint
}

/** Whether two ranges have an address in common. */
export function rangesOverlap(one: Range, other: Range): boolean {
  return one.first <= other.last && other.first <= one.last
}

/** Ranges that do not overlap, in order: who lies where is found by halving. */
export class RangeIndex<Item extends Range> {
  readonly #items: Item[] = []

  get size(): number {
    return this.#items.length
  }

  /** The items in order. */
  [Symbol.iterator](): Iterator<Item> {
    return this.#items.values()
  }

  /** The last item that has an address in common with `range`. */
  findOverlap(range: Range): Item | undefined {
    const item = this.#items[this.#countUpTo(range.last) - 1]
    return item !== undefined && item.last >= range.first ? item : undefined
  }

  /** Adds an item, which must not overlap another. */
  add(item: Item): void {
    this.#items.splice(this.#countUpTo(item.first), 0, item)
  }

  remove(item: Item): void {
    const at = this.#countUpTo(item.first) - 1
    if (this.#items[at] === item) this.#items.splice(at, 1)
  }

  /** How many items begin at or before `value`. */
  #countUpTo(value: bigint): number {
    let low = 0
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const item = this.#items[middle]
      if (item !== undefined && item.first <= value) low = middle + 1
      else high = middle
    }
    return low
  }
}
