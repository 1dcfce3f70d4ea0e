import { BLOCK_BITS, countBits, FULL_BLOCK } from './block.ts'
import { blockCountOf, HEADER_BYTES, PAGES_OF_UPPER_HALF, RUN_BYTES, type BlockCount } from './encode.ts'
import { DamagedBitseqError } from './errors.ts'
import { Level } from './level.ts'
import { PAGE_BLOCKS } from './pages.ts'

/**
 * Pages that runs of blocks neither empty nor full may fill: half a gigabyte of them. Twelve bytes
 * can claim any number, which must not take the memory of the process.
 */
const MAX_REPEATED_PAGES = 2 ** 21

/** Upper half of the count that a row of 2^64 bits in a single run has. */
const MAX_UPPER_HALF = 2 ** 27

/** What the binary form says. */
export interface Decoded {
  readonly length: bigint
  readonly free: bigint
  readonly bits: Level
}

/** Reads libnetwork's binary form. */
export function decode(bytes: Uint8Array): Decoded {
  const runBytes = bytes.length - HEADER_BYTES
  if (runBytes < RUN_BYTES) throw new DamagedBitseqError(`cut short after ${bytes.length} bytes`)
  if (runBytes % RUN_BYTES !== 0) throw new DamagedBitseqError(`${runBytes} bytes are no whole number of runs`)

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.getBigUint64(0)
  const free = view.getBigUint64(8)
  const reader = new RunReader(blockCountOf(length))
  for (let offset = HEADER_BYTES; offset < bytes.length; offset += RUN_BYTES) {
    reader.add(view.getUint32(offset), view.getUint32(offset + 4), view.getUint32(offset + 8))
  }
  const { bits, count, lastBlock } = reader.finish()

  const padding = Number(-length & BigInt(BLOCK_BITS - 1))
  if (countBits(lastBlock & (2 ** padding - 1)) > 0)
    throw new DamagedBitseqError(`bits after the last of ${length} set`)
  if (length - count !== free)
    throw new DamagedBitseqError(`${free} bits free by its count, ${length - count} in truth`)
  return { length, free, bits }
}

/** Puts runs of blocks one after another. */
class RunReader {
  readonly #bits = new Level()
  readonly #total: BlockCount
  /** The page being filled, and how many of its blocks are there. */
  readonly #page = new Uint32Array(PAGE_BLOCKS)
  #filled = 0
  #pages = 0
  #repeatedPages = 0
  #lastBlock = 0
  /** Set bits: those of short runs as a number, which is fast, and the others as a bigint. */
  #count = 0
  #bigCount = 0n

  constructor(total: BlockCount) {
    this.#total = total
  }

  /** Adds a run; its count comes in two halves. A run of none, which Docker 1.9 wrote, is passed over. */
  add(block: number, upper: number, lower: number): void {
    if (upper === 0 && lower < PAGE_BLOCKS - this.#filled && this.#pages < this.#total.pages) {
      this.#addWithinPage(block, lower)
      return
    }
    if (upper === 0 && lower === 0) return
    this.#checkRoom(upper, lower)
    this.#lastBlock = block
    if (upper === 0) this.#count += countBits(block) * lower
    else this.#bigCount += BigInt(countBits(block)) * ((BigInt(upper) << 32n) + BigInt(lower))

    const toPageEnd = Math.min(PAGE_BLOCKS - this.#filled, upper === 0 ? lower : PAGE_BLOCKS)
    this.#addToPage(block, toPageEnd)
    const rest = minus(upper, lower, toPageEnd)
    this.#addPages(block, rest.pages)
    this.#addToPage(block, rest.blocks)
  }

  finish(): { readonly bits: Level; readonly count: bigint; readonly lastBlock: number } {
    if (this.#pages !== this.#total.pages || this.#filled !== this.#total.blocks) {
      throw new DamagedBitseqError('fewer blocks than its length needs')
    }
    this.#page.fill(0, this.#filled)
    this.#flush()
    return { bits: this.#bits, count: this.#bigCount + BigInt(this.#count), lastBlock: this.#lastBlock }
  }

  /** The most frequent case, made short: some blocks that do not fill the page. */
  #addWithinPage(block: number, count: number): void {
    if (count === 0) return
    this.#lastBlock = block
    this.#count += countBits(block) * count
    const end = this.#filled + count
    while (this.#filled < end) this.#page[this.#filled++] = block
  }

  #checkRoom(upper: number, lower: number): void {
    const { pages, blocks } = minus(upper, lower, -this.#filled)
    const room = this.#total.pages - this.#pages
    // Above 2^53 pages numbers are no longer exact, so what is that large is looked at before.
    const isTooLarge = upper > MAX_UPPER_HALF || (upper === MAX_UPPER_HALF && lower > 0)
    if (isTooLarge || pages > room || (pages === room && blocks > this.#total.blocks)) {
      throw new DamagedBitseqError('more blocks than its length needs')
    }
  }

  #addToPage(block: number, count: number): void {
    this.#page.fill(block, this.#filled, this.#filled + count)
    this.#filled += count
    if (this.#filled === PAGE_BLOCKS) {
      this.#flush()
      this.#pages++
      this.#filled = 0
    }
  }

  #flush(): void {
    this.#bits.setPage(this.#pages, this.#page)
  }

  /** Adds whole pages of `block`. If there are any, the page being filled is empty. */
  #addPages(block: number, count: number): void {
    if (count === 0) return
    if (block === FULL_BLOCK) this.#bits.setPages(this.#pages, this.#pages + count)
    else if (block !== 0) {
      this.#repeatedPages += count
      if (this.#repeatedPages > MAX_REPEATED_PAGES) {
        throw new DamagedBitseqError('more scattered bits than memory should hold')
      }
      this.#page.fill(block)
      for (let page = this.#pages; page < this.#pages + count; page++) this.#bits.setPage(page, this.#page)
    }
    this.#pages += count
  }
}

/** A count in two halves, less `blocks`, in pages and blocks. */
function minus(upper: number, lower: number, blocks: number): BlockCount {
  const rest = lower - blocks
  return {
    pages: upper * PAGES_OF_UPPER_HALF + Math.floor(rest / PAGE_BLOCKS),
    blocks: ((rest % PAGE_BLOCKS) + PAGE_BLOCKS) % PAGE_BLOCKS,
  }
}
