const SMALLEST = 8

/**
 * From numbers of pages to places: a hash with open addressing.
 *
 * A `Map` keeps what was deleted in its chains until it grows, so that a page that comes and goes
 * would slow down a large row by orders of magnitude.
 */
export class PageTable {
  #keys = new Float64Array(SMALLEST)
  /** Place of each key and one more; 0 where there is no key. */
  #places = new Uint32Array(SMALLEST)
  #size = 0

  /** How many pages there are. */
  get size(): number {
    return this.#size
  }

  /** The place of a page, or `undefined` when it is not there. */
  get(page: number): number | undefined {
    const place = this.#places[this.#slotOf(page)] ?? 0
    return place === 0 ? undefined : place - 1
  }

  /** Puts a page at a place. */
  set(page: number, place: number): void {
    // Half empty, it has short ways.
    if (2 * this.#size >= this.#keys.length) this.#resize(2 * this.#keys.length)
    const slot = this.#slotOf(page)
    if (this.#places[slot] === 0) this.#size++
    this.#keys[slot] = page
    this.#places[slot] = place + 1
  }

  /** Forgets a page. */
  delete(page: number): void {
    const slot = this.#slotOf(page)
    if (this.#places[slot] === 0) return
    this.#size--
    this.#closeGap(slot)
    if (this.#keys.length > SMALLEST && 16 * this.#size < this.#keys.length) this.#resize(this.#keys.length / 4)
  }

  /** The pages there are, in order. */
  sorted(): Float64Array {
    return this.#keys.filter((_page, slot) => this.#places[slot] !== 0).sort()
  }

  /** Moves back whoever was pushed past `gap` by a collision. */
  #closeGap(gap: number): void {
    const mask = this.#keys.length - 1
    for (let slot = (gap + 1) & mask; this.#places[slot] !== 0; slot = (slot + 1) & mask) {
      const key = this.#keys[slot] ?? 0
      const wayFromHome = (slot - this.#homeOf(key)) & mask
      if (wayFromHome < ((slot - gap) & mask)) continue
      this.#keys[gap] = key
      this.#places[gap] = this.#places[slot] ?? 0
      gap = slot
    }
    this.#places[gap] = 0
  }

  /** Where `page` is, or where it would be put. */
  #slotOf(page: number): number {
    const mask = this.#keys.length - 1
    let slot = this.#homeOf(page)
    while (this.#places[slot] !== 0 && this.#keys[slot] !== page) slot = (slot + 1) & mask
    return slot
  }

  #homeOf(page: number): number {
    // The multipliers are those of MurmurHash3.
    let hash = Math.imul((page | 0) ^ Math.imul((page / 2 ** 32) | 0, 0x85ebca6b), 0xc2b2ae35)
    hash ^= hash >>> 15
    return hash & (this.#keys.length - 1)
  }

  #resize(length: number): void {
    const keys = this.#keys
    const places = this.#places
    const size = Math.max(SMALLEST, length)
    this.#keys = new Float64Array(size)
    this.#places = new Uint32Array(size)
    for (const [index, place] of places.entries()) {
      if (place === 0) continue
      const key = keys[index] ?? 0
      const slot = this.#slotOf(key)
      this.#keys[slot] = key
      this.#places[slot] = place
    }
  }
}
