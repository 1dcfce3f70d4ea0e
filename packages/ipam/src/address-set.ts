import { Bitseq } from '@net/bitseq'
import { isNetError } from '@net/types'
import { SortedNumbers } from './sorted-numbers.ts'

const ROW_BITS = 64
const ROW_SHIFT = BigInt(ROW_BITS)

/** A stretch of a row, both ends included. */
interface Part {
  readonly row: bigint
  readonly first: bigint
  readonly last: bigint
}

/**
 * Which addresses of a pool are taken, by their offset in it. A row of bits reaches over 2^64 of
 * them; a larger pool has a row for each such stretch that something is taken in.
 */
export class AddressSet {
  readonly #rowLength: bigint
  /** The row of the lowest offsets. It stays, for the place from which serial requests go on. */
  readonly #lowest: Bitseq
  readonly #others = new Map<bigint, Bitseq>()
  /** Numbers of the other rows. */
  readonly #numbers = new SortedNumbers()
  /** How many are taken in the other rows: there may be thousands of them. */
  #takenInOthers = 0n
  /** The offset from which serial requests go on, less one. */
  #last = -1n

  constructor(hostBits: number) {
    this.#rowLength = 1n << BigInt(Math.min(hostBits, ROW_BITS))
    this.#lowest = new Bitseq(this.#rowLength)
  }

  /** How many addresses are taken. */
  get size(): bigint {
    return this.#rowLength - this.#lowest.free + this.#takenInOthers
  }

  has(offset: bigint): boolean {
    return this.#find(offset >> ROW_SHIFT)?.has(BigInt.asUintN(ROW_BITS, offset)) ?? false
  }

  /** Takes an address. Says whether it was free. */
  add(offset: bigint): boolean {
    const number = offset >> ROW_SHIFT
    const bit = BigInt.asUintN(ROW_BITS, offset)
    const row = this.#rowOf(number)
    if (row.has(bit)) return false
    row.set(bit)
    if (number !== 0n) this.#takenInOthers++
    return true
  }

  /** Lets an address go. */
  remove(offset: bigint): void {
    const number = offset >> ROW_SHIFT
    const bit = BigInt.asUintN(ROW_BITS, offset)
    if (number === 0n) {
      this.#lowest.clear(bit)
      return
    }
    const row = this.#others.get(number)
    if (row?.has(bit) !== true) return
    row.clear(bit)
    this.#takenInOthers--
    this.#forgetIfEmpty(number)
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

  /** Takes a free address from `first` to `last`, or gives `undefined` when there is none. */
  take(first: bigint, last: bigint, serial: boolean): bigint | undefined {
    for (const part of this.#parts(first, last)) {
      const bit = takeBit(this.#rowOf(part.row), part, serial)
      if (bit === undefined) continue
      const offset = (part.row << ROW_SHIFT) + bit
      if (part.row !== 0n) this.#takenInOthers++
      this.#last = offset
      return offset
    }
    return undefined
  }

  /** Undoes {@link AddressSet.take}: serial requests go on at the address, unless they do before it. */
  giveBack(offset: bigint): void {
    if (!this.has(offset)) return
    if (offset <= this.#last) this.#goOnAt(offset)
    this.remove(offset)
  }

  /** How many addresses from `first` to `last` are taken. */
  count(first: bigint, last: bigint): bigint {
    let count = 0n
    for (const part of this.#existingParts(first, last)) count += this.#countIn(part)
    return count
  }

  /** A row goes on behind the bit that was taken in it last. */
  #goOnAt(offset: bigint): void {
    this.#last = offset - 1n
    const row = this.#rowOf(offset >> ROW_SHIFT)
    const bit = BigInt.asUintN(ROW_BITS, offset)
    // Behind the last bit is where it comes round to the first.
    const before = bit === 0n ? this.#rowLength - 1n : bit - 1n
    const wasSet = row.has(before)
    row.clear(before)
    row.take({ within: { first: before, last: before } })
    if (!wasSet) row.clear(before)
  }

  #removeAll(first: bigint, last: bigint): void {
    for (const part of this.#existingParts(first, last)) this.#removePart(part)
  }

  /** Halves the stretch until it is one bit, or holds nothing. */
  #removePart(part: Part): void {
    const { row, first, last } = part
    if (this.#countIn(part) === 0n) return
    if (first === last) {
      this.remove((row << ROW_SHIFT) + first)
      return
    }
    const middle = (first + last) >> 1n
    this.#removePart({ row, first, last: middle })
    this.#removePart({ row, first: middle + 1n, last })
  }

  #countIn({ row, first, last }: Part): bigint {
    const bits = this.#find(row)
    if (bits === undefined) return 0n
    return first === 0n && last === this.#rowLength - 1n ? this.#rowLength - bits.free : bits.count({ first, last })
  }

  /** The range, cut at the borders of rows. */
  *#parts(first: bigint, last: bigint): Generator<Part> {
    for (let row = first >> ROW_SHIFT; row <= last >> ROW_SHIFT; row++) yield this.#partOf(row, first, last)
  }

  /** As {@link AddressSet.#parts}, only the rows that there are. */
  *#existingParts(first: bigint, last: bigint): Generator<Part> {
    const lowest = first >> ROW_SHIFT
    if (lowest === 0n) yield this.#partOf(0n, first, last)
    for (const row of this.#numbers.between(lowest, last >> ROW_SHIFT)) yield this.#partOf(row, first, last)
  }

  #partOf(row: bigint, first: bigint, last: bigint): Part {
    return {
      row,
      first: row === first >> ROW_SHIFT ? BigInt.asUintN(ROW_BITS, first) : 0n,
      last: row === last >> ROW_SHIFT ? BigInt.asUintN(ROW_BITS, last) : this.#rowLength - 1n,
    }
  }

  #find(number: bigint): Bitseq | undefined {
    return number === 0n ? this.#lowest : this.#others.get(number)
  }

  #rowOf(number: bigint): Bitseq {
    let row = this.#find(number)
    if (row === undefined) {
      row = new Bitseq(this.#rowLength)
      this.#others.set(number, row)
      this.#numbers.add(number)
    }
    return row
  }

  #forgetIfEmpty(number: bigint): void {
    if (number === 0n || this.#others.get(number)?.free !== this.#rowLength) return
    this.#others.delete(number)
    this.#numbers.remove(number)
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
