import { BLOCK_BITS, FULL_BLOCK } from './block.ts'
import { InvalidLengthError } from './errors.ts'
import { type Level } from './level.ts'
import { PAGE_BLOCKS } from './pages.ts'

/** Bytes before the runs: length and free count, each a u64. */
export const HEADER_BYTES = 16

/** Bytes of a run: the block as a u32, and how many of it follow each other as a u64. */
export const RUN_BYTES = 12

/** 2^32 blocks, in pages: what the upper half of a count counts. */
export const PAGES_OF_UPPER_HALF = 2 ** 32 / PAGE_BLOCKS

/** A number of blocks. It can pass 2^53, so it is held as pages and blocks besides. */
export interface BlockCount {
  readonly pages: number
  readonly blocks: number
}

/** How many blocks a row of `length` bits takes. */
export function blockCountOf(length: bigint): BlockCount {
  const total = (length + BigInt(BLOCK_BITS - 1)) / BigInt(BLOCK_BITS)
  return { pages: Number(total / BigInt(PAGE_BLOCKS)), blocks: Number(total % BigInt(PAGE_BLOCKS)) }
}

/** Writes libnetwork's binary form. */
export function encode(length: bigint, free: bigint, bits: Level): Uint8Array {
  if (length >> 64n !== 0n) throw new InvalidLengthError(length, 'at most 2^64 - 1 in the binary form')
  const end = blockCountOf(length)
  const runs = new RunWriter()

  let page = 0
  for (const piece of bits.pieces()) {
    runs.add(0, piece.page - page, 0)
    if (piece.kind === 'full') {
      runs.add(FULL_BLOCK, piece.end - piece.page, 0)
      page = piece.end
    } else {
      const blocks = piece.page === end.pages ? piece.blocks.subarray(0, end.blocks) : piece.blocks
      for (const block of blocks) runs.add(block, 0, 1)
      page = piece.page + 1
    }
  }
  // A mixed page at the end of the row, cut short above, leaves nothing to fill up.
  if (page <= end.pages) runs.add(0, end.pages - page, end.blocks)
  return runs.finish(length, free)
}

/** Collects runs of blocks, and writes each run once it has ended. */
class RunWriter {
  #bytes = new Uint8Array(HEADER_BYTES + 4 * RUN_BYTES)
  #view = new DataView(this.#bytes.buffer)
  #end = HEADER_BYTES
  #block = 0
  #pages = 0
  #blocks = 0

  /** Goes on with so many of `block`: whole pages of it, and blocks besides. */
  add(block: number, pages: number, blocks: number): void {
    if (pages === 0 && blocks === 0) return
    if (block !== this.#block) {
      this.#flush()
      this.#block = block
    }
    this.#blocks += blocks
    this.#pages += pages
    if (this.#blocks >= PAGE_BLOCKS) {
      this.#blocks -= PAGE_BLOCKS
      this.#pages++
    }
  }

  finish(length: bigint, free: bigint): Uint8Array {
    // A row of no bits is one run of no blocks.
    if (length === 0n) this.#write()
    else this.#flush()
    this.#view.setBigUint64(0, length)
    this.#view.setBigUint64(8, free)
    return this.#bytes.slice(0, this.#end)
  }

  #flush(): void {
    if (this.#pages === 0 && this.#blocks === 0) return
    this.#write()
    this.#pages = 0
    this.#blocks = 0
  }

  #write(): void {
    if (this.#end + RUN_BYTES > this.#bytes.length) this.#grow()
    this.#view.setUint32(this.#end, this.#block)
    this.#view.setUint32(this.#end + 4, Math.floor(this.#pages / PAGES_OF_UPPER_HALF))
    this.#view.setUint32(this.#end + 8, (this.#pages % PAGES_OF_UPPER_HALF) * PAGE_BLOCKS + this.#blocks)
    this.#end += RUN_BYTES
  }

  #grow(): void {
    const bytes = new Uint8Array(2 * this.#bytes.length)
    bytes.set(this.#bytes)
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }
}
