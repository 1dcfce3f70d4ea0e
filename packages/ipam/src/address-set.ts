import { Bitseq } from '@net/bitseq'
import { isNetError } from '@net/types'

const ROW_BITS = 64
const ROW_SHIFT = BigInt(ROW_BITS)

/**
 * Which addresses of a pool are taken, by their offset in it. A row of bits reaches over 2^64 of
 * them; a larger pool has a row for each such stretch that something is taken in.
 */
export class AddressSet {
  readonly #rowLength: bigint
  /** The row of the lowest offsets. It stays, for the place from which serial requests go on. */
  readonly #lowest: Bitseq
  readonly #others = new Map<bigint, Bitseq>()

  constructor(hostBits: number) {
    this.#rowLength = 1n << BigInt(Math.min(hostBits, ROW_BITS))
    this.#lowest = new Bitseq(this.#rowLength)
  }

  /** How many addresses are taken. */
  get size(): bigint {
    let size = this.#rowLength - this.#lowest.free
    for (const row of this.#others.values()) size += this.#rowLength - row.free
    return size
  }

  has(offset: bigint): boolean {
    return this.#find(offset >> ROW_SHIFT)?.has(BigInt.asUintN(ROW_BITS, offset)) ?? false
  }

  /** Takes an address. Says whether it was free. */
  add(offset: bigint): boolean {
    if (this.has(offset)) return false
    this.#rowOf(offset >> ROW_SHIFT).set(BigInt.asUintN(ROW_BITS, offset))
    return true
  }

  /** Lets an address go. */
  remove(offset: bigint): void {
    const number = offset >> ROW_SHIFT
    const row = this.#find(number)
    row?.clear(BigInt.asUintN(ROW_BITS, offset))
    if (number !== 0n && row?.free === this.#rowLength) this.#others.delete(number)
  }

  /** Lets go what is taken from `first` to `last`, save `kept`, which must lie there and be in order. */
  removeOthers(first: bigint, last: bigint, kept: readonly bigint[]): void {
    if (this.count(first, last) === BigInt(kept.length)) return
    let next = first
    for (const offset of [...kept, last + 1n]) {
      if (offset > next) this.#removeAll(next, offset - 1n)
      next = offset + 1n
    }
  }

  #removeAll(first: bigint, last: bigint): void {
    if (this.count(first, last) === 0n) return
    if (first === last) {
      this.remove(first)
      return
    }
    const middle = (first + last) >> 1n
    this.#removeAll(first, middle)
    this.#removeAll(middle + 1n, last)
  }

  /** Takes a free address from `first` to `last`, or gives `undefined` when there is none. */
  take(first: bigint, last: bigint, serial: boolean): bigint | undefined {
    for (const part of this.#parts(first, last)) {
      const bit = takeBit(this.#rowOf(part.row), part, serial)
      if (bit !== undefined) return (part.row << ROW_SHIFT) + bit
    }
    return undefined
  }

  /** How many addresses from `first` to `last` are taken. */
  count(first: bigint, last: bigint): bigint {
    let count = 0n
    for (const [number, row] of [[0n, this.#lowest] as const, ...this.#others]) {
      const start = number << ROW_SHIFT
      const from = first > start ? first - start : 0n
      const to = last - start < this.#rowLength ? last - start : this.#rowLength - 1n
      if (from <= to) count += row.count({ first: from, last: to })
    }
    return count
  }

  /** The range, cut at the borders of rows. */
  *#parts(first: bigint, last: bigint): Generator<{ row: bigint; first: bigint; last: bigint }> {
    for (let row = first >> ROW_SHIFT; row <= last >> ROW_SHIFT; row++) {
      yield {
        row,
        first: row === first >> ROW_SHIFT ? BigInt.asUintN(ROW_BITS, first) : 0n,
        last: row === last >> ROW_SHIFT ? BigInt.asUintN(ROW_BITS, last) : this.#rowLength - 1n,
      }
    }
  }

  #find(number: bigint): Bitseq | undefined {
    return number === 0n ? this.#lowest : this.#others.get(number)
  }

  #rowOf(number: bigint): Bitseq {
    let row = this.#find(number)
    if (row === undefined) this.#others.set(number, (row = new Bitseq(this.#rowLength)))
    return row
  }
}

function takeBit(row: Bitseq, within: { first: bigint; last: bigint }, serial: boolean): bigint | undefined {
  try {
    return row.take({ within, serial })
  } catch (error) {
    if (isNetError(error, 'ERR_NO_BIT_AVAILABLE')) return undefined
    throw error
  }
}
