import { fromBase64, toBase64 } from './base64.ts'
import { decode } from './decode.ts'
import { encode } from './encode.ts'
import {
  BitAllocatedError,
  DamagedBitseqError,
  InvalidLengthError,
  InvalidRangeError,
  NoBitAvailableError,
  OrdinalOutOfRangeError,
} from './errors.ts'
import { Level, type Position } from './level.ts'
import { bitOf, isAfter, isOrdinal, ordinalAt, pageOf } from './ordinal.ts'
import { PAGE_BITS } from './pages.ts'

const MAX_LENGTH = 1n << 64n

/** Bits `first` to `last`, both included. */
export interface BitRange {
  readonly first: bigint | number
  readonly last: bigint | number
}

/** How to choose a bit. */
export interface TakeOptions {
  /** Bits to choose from. @defaultValue the whole row */
  readonly within?: BitRange | undefined
  /**
   * Go on after the bit taken last and come round at the end, instead of choosing the lowest:
   * a bit that was cleared then rests a while. @defaultValue false
   */
  readonly serial?: boolean | undefined
}

/**
 * A row of up to 2^64 bits that finds, sets and clears bits in it, however full it is.
 * Memory follows what is set: long runs and empty stretches take none.
 */
export class Bitseq {
  readonly #length: bigint
  #bits = new Level()
  /** Clear bits when the row was made or decoded … */
  #freeAtFirst: bigint
  /** … and how many were set since, less those cleared. Cheaper to keep than the bigint. */
  #taken = 0
  /** The bit after the one taken last. */
  #cursor: Position = { page: 0, bit: 0 }

  /**
   * A row of `length` bits, all clear.
   *
   * @throws InvalidLengthError (`ERR_INVALID_LENGTH`)
   */
  constructor(length: bigint | number) {
    if (!isOrdinal(length, MAX_LENGTH + 1n)) throw new InvalidLengthError(length, '0 to 2^64')
    this.#length = BigInt(length)
    this.#freeAtFirst = this.#length
  }

  /**
   * Reads libnetwork's binary form. The bytes are checked through and through, and not kept.
   *
   * @throws DamagedBitseqError (`ERR_DAMAGED_BITSEQ`)
   */
  static decode(bytes: Uint8Array): Bitseq {
    const { length, free, bits } = decode(bytes)
    const row = new Bitseq(length)
    row.#bits = bits
    row.#freeAtFirst = free
    return row
  }

  /**
   * Reads libnetwork's JSON forms, parsed: the base64 of the binary form, or an object that has it as `sequence`.
   *
   * @throws DamagedBitseqError (`ERR_DAMAGED_BITSEQ`)
   */
  static fromJSON(json: unknown): Bitseq {
    const text: unknown =
      typeof json === 'string' ? json : (json as { sequence?: unknown } | undefined | null)?.sequence
    if (typeof text !== 'string') throw new DamagedBitseqError('no text, and no object with a text as sequence')
    return Bitseq.decode(fromBase64(text))
  }

  /** How many bits there are. */
  get length(): bigint {
    return this.#length
  }

  /** How many bits are clear. */
  get free(): bigint {
    return this.#freeAtFirst - BigInt(this.#taken)
  }

  /** Whether a bit is set. A bit that the row does not have is not. */
  has(ordinal: bigint | number): boolean {
    return isOrdinal(ordinal, this.#length) && this.#bits.has(pageOf(ordinal), bitOf(ordinal))
  }

  /**
   * Sets a bit.
   *
   * @throws BitAllocatedError (`ERR_BIT_ALLOCATED`) when it is set already
   * @throws OrdinalOutOfRangeError (`ERR_ORDINAL_OUT_OF_RANGE`)
   */
  set(ordinal: bigint | number): void {
    this.#check(ordinal)
    if (!this.#bits.set(pageOf(ordinal), bitOf(ordinal))) throw new BitAllocatedError(ordinal)
    this.#taken++
  }

  /**
   * Clears a bit. When it is clear, nothing changes.
   *
   * @throws OrdinalOutOfRangeError (`ERR_ORDINAL_OUT_OF_RANGE`)
   */
  clear(ordinal: bigint | number): void {
    this.#check(ordinal)
    if (this.#bits.clear(pageOf(ordinal), bitOf(ordinal))) this.#taken--
  }

  /**
   * Sets a clear bit and says which: the lowest, or with `serial` the next one after the bit taken last.
   *
   * @throws NoBitAvailableError (`ERR_NO_BIT_AVAILABLE`)
   * @throws InvalidRangeError (`ERR_INVALID_RANGE`)
   */
  take(options: TakeOptions = {}): bigint {
    const { within, serial = false } = options
    if (within !== undefined) this.#checkRange(within)
    const first = within === undefined ? { page: 0, bit: 0 } : positionOf(within.first)
    const last = positionOf(within === undefined ? this.#length - 1n : within.last)

    const found = (serial ? this.#findFromCursor(first, last) : undefined) ?? this.#find(first, last)
    if (found === undefined) throw new NoBitAvailableError(ordinalAt(first), ordinalAt(last))
    this.#bits.set(found.page, found.bit)
    this.#taken++
    this.#cursor = after(found)
    return ordinalAt(found)
  }

  /**
   * How many bits of a range are set.
   *
   * @throws InvalidRangeError (`ERR_INVALID_RANGE`)
   */
  count(within: BitRange): bigint {
    this.#checkRange(within)
    const first = positionOf(within.first)
    const end = after(positionOf(within.last))
    if (first.page === end.page) return BigInt(this.#bits.countInPage(first.page, first.bit, end.bit))
    const { fullPages, bits } = this.#bits.countPages(first.page + 1, end.page)
    const atEdges =
      this.#bits.countInPage(first.page, first.bit, PAGE_BITS) + this.#bits.countInPage(end.page, 0, end.bit)
    return BigInt(fullPages) * BigInt(PAGE_BITS) + BigInt(bits + atEdges)
  }

  /** A row with the same bits and the same place to go on from, that changes on its own. */
  clone(): Bitseq {
    const copy = new Bitseq(this.#length)
    copy.#bits = this.#bits.clone()
    copy.#freeAtFirst = this.#freeAtFirst
    copy.#taken = this.#taken
    copy.#cursor = this.#cursor
    return copy
  }

  /**
   * Writes libnetwork's binary form: length, free count, then runs of equal 32-bit blocks, all big-endian.
   *
   * @throws InvalidLengthError (`ERR_INVALID_LENGTH`) for a row of 2^64 bits, whose length does not fit
   */
  encode(): Uint8Array {
    return encode(this.#length, this.free, this.#bits)
  }

  /**
   * Writes libnetwork's JSON form, the base64 of the binary one. Its older form is `{ id, sequence: row.toJSON() }`.
   *
   * @throws InvalidLengthError (`ERR_INVALID_LENGTH`) for a row of 2^64 bits, whose length does not fit
   */
  toJSON(): string {
    return toBase64(this.encode())
  }

  #find(from: Position, last: Position): Position | undefined {
    const found = this.#bits.firstClear(from.page, from.bit)
    return isAfter(found, last) ? undefined : found
  }

  #findFromCursor(first: Position, last: Position): Position | undefined {
    return isAfter(this.#cursor, first) ? this.#find(this.#cursor, last) : undefined
  }

  #check(ordinal: bigint | number): void {
    if (!isOrdinal(ordinal, this.#length)) throw new OrdinalOutOfRangeError(ordinal, this.#length)
  }

  #checkRange({ first, last }: BitRange): void {
    if (!isOrdinal(first, this.#length) || !isOrdinal(last, this.#length) || first > last) {
      throw new InvalidRangeError(first, last, this.#length)
    }
  }
}

function positionOf(ordinal: bigint | number): Position {
  return { page: pageOf(ordinal), bit: bitOf(ordinal) }
}

function after({ page, bit }: Position): Position {
  return bit + 1 === PAGE_BITS ? { page: page + 1, bit: 0 } : { page, bit: bit + 1 }
}
