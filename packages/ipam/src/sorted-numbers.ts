/** Numbers in order, each once: where one lies is found by halving. */
export class SortedNumbers {
  readonly #numbers: bigint[] = []

  /** Adds a number that is not there. */
  add(number: bigint): void {
    const at = this.#countBelow(number)
    if (at === this.#numbers.length) this.#numbers.push(number)
    else this.#numbers.splice(at, 0, number)
  }

  /** Removes a number that is there. */
  remove(number: bigint): void {
    this.#numbers.splice(this.#countBelow(number), 1)
  }

  /** Those from `first` to `last`, as they are now. */
  between(first: bigint, last: bigint): readonly bigint[] {
    return this.#numbers.slice(this.#countBelow(first), this.#countBelow(last + 1n))
  }

  #countBelow(number: bigint): number {
    let low = 0
    let high = this.#numbers.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#numbers[middle] ?? number) < number) low = middle + 1
      else high = middle
    }
    return low
  }
}
