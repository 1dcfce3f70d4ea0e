import { blockMask, BLOCK_BITS, countBits, FULL_BLOCK } from './block.ts'

/** Blocks of a page. */
export const PAGE_BLOCKS = 64

/** Bits of a page. With 2^11 of them, the pages of a row of 2^64 bits are numbered by safe integers. */
export const PAGE_BITS = PAGE_BLOCKS * BLOCK_BITS

/** Pages of bits, side by side in one array: thousands of small arrays would be mostly headers. */
export class Pages {
  #blocks: Uint32Array
  /** How many bits of each page are set. */
  #counts: Uint16Array
  readonly #gaps: number[] = []
  #end = 0

  constructor(capacity: number) {
    this.#blocks = new Uint32Array(capacity * PAGE_BLOCKS)
    this.#counts = new Uint16Array(capacity)
  }

  /** How many pages there is room for. */
  get capacity(): number {
    return this.#counts.length
  }

  /** Makes a page with all bits set or none, and says where it is. */
  add(isFull: boolean): number {
    const page = this.#gaps.pop() ?? this.#end++
    if (page >= this.capacity) this.#grow()
    this.#blocks.fill(isFull ? FULL_BLOCK : 0, page * PAGE_BLOCKS, (page + 1) * PAGE_BLOCKS)
    this.#counts[page] = isFull ? PAGE_BITS : 0
    return page
  }

  /** Makes a page with these blocks, and says where it is. */
  addBlocks(blocks: Uint32Array): number {
    const page = this.add(false)
    this.#blocks.set(blocks, page * PAGE_BLOCKS)
    let count = 0
    for (const block of blocks) count += countBits(block)
    this.#counts[page] = count
    return page
  }

  /** Gives the place of `page` to the next one made. */
  remove(page: number): void {
    this.#gaps.push(page)
  }

  /** The blocks of `page`, not copied. */
  blocksOf(page: number): Uint32Array {
    return this.#blocks.subarray(page * PAGE_BLOCKS, (page + 1) * PAGE_BLOCKS)
  }

  /** How many bits of `page` are set. */
  countOf(page: number): number {
    return this.#counts[page] ?? 0
  }

  has(page: number, bit: number): boolean {
    return ((this.#blocks[page * PAGE_BLOCKS + (bit >>> 5)] ?? 0) & (0x80000000 >>> (bit & 31))) !== 0
  }

  /** Sets or clears a bit that is known not to be so already. Says how many are set now. */
  flip(page: number, bit: number): number {
    const at = page * PAGE_BLOCKS + (bit >>> 5)
    const selector = 0x80000000 >>> (bit & 31)
    const block = (this.#blocks[at] ?? 0) ^ selector
    this.#blocks[at] = block
    const count = this.countOf(page) + ((block & selector) === 0 ? -1 : 1)
    this.#counts[page] = count
    return count
  }

  /** Sets the bits `from` up to, but not including, `end`. Says how many are set now. */
  fill(page: number, from: number, end: number): number {
    let count = this.countOf(page)
    for (let bit = from; bit < end; bit = (bit | 31) + 1) {
      const at = page * PAGE_BLOCKS + (bit >>> 5)
      const old = this.#blocks[at] ?? 0
      const block = old | blockMask(bit & 31, end - (bit & ~31))
      this.#blocks[at] = block
      count += countBits(block) - countBits(old)
    }
    this.#counts[page] = count
    return count
  }

  /** How many bits from `from` up to, but not including, `end` are set. */
  countBetween(page: number, from: number, end: number): number {
    let count = 0
    for (let bit = from; bit < end; bit = (bit | 31) + 1) {
      const block = this.#blocks[page * PAGE_BLOCKS + (bit >>> 5)] ?? 0
      count += countBits(block & blockMask(bit & 31, end - (bit & ~31)))
    }
    return count
  }

  /** The first clear bit at or after `from`, or `undefined` when there is none. */
  firstClear(page: number, from: number): number | undefined {
    const end = (page + 1) * PAGE_BLOCKS
    let at = page * PAGE_BLOCKS + (from >>> 5)
    let clear = ~(this.#blocks[at] ?? 0) & (FULL_BLOCK >>> (from & 31))
    while (clear === 0 && ++at < end) clear = ~(this.#blocks[at] ?? 0)
    return clear === 0 ? undefined : (at % PAGE_BLOCKS) * BLOCK_BITS + Math.clz32(clear)
  }

  #grow(): void {
    const capacity = Math.max(1, this.capacity * 2)
    const blocks = new Uint32Array(capacity * PAGE_BLOCKS)
    const counts = new Uint16Array(capacity)
    blocks.set(this.#blocks)
    counts.set(this.#counts)
    this.#blocks = blocks
    this.#counts = counts
  }
}
