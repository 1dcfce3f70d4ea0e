import { Bitseq } from '@net/bitseq'
import { isNetError } from '@net/types'
import { IdInUseError, IdOutOfRangeError, InvalidRangeError, NoIdAvailableError } from './errors.ts'

/** Ids `first` to `last`, both included. */
export interface IdRange {
  readonly first: number
  readonly last: number
}

/** How to choose an id. */
export interface TakeOptions {
  /** Ids to choose from. @defaultValue the whole set */
  readonly within?: IdRange | undefined
  /**
   * Go on after the id taken last and come round at the end, instead of choosing the lowest:
   * a released id then rests a while. @defaultValue false
   */
  readonly serial?: boolean | undefined
}

/** Numbers out of a range, each held by one holder at a time. In memory, and synchronous. */
export class Idm {
  readonly #range: IdRange
  readonly #row: Bitseq

  /**
   * Ids `first` to `last`, all free. Both are whole numbers from 0 to 2^53 - 1, and may be equal.
   *
   * @throws InvalidRangeError (`ERR_INVALID_RANGE`)
   */
  constructor({ first, last }: IdRange) {
    if (!isId(first) || !isId(last) || first > last) {
      throw new InvalidRangeError(first, last, 'whole numbers from 0 to 2^53 - 1 in ascending order')
    }
    this.#range = { first, last }
    this.#row = new Bitseq(BigInt(last) - BigInt(first) + 1n)
  }

  /** How many ids are free. */
  get free(): number {
    return Number(this.#row.free)
  }

  /** Whether an id is held. One that does not belong to the set is not. */
  has(id: number): boolean {
    return this.#contains(id) && this.#row.has(id - this.#range.first)
  }

  /**
   * Takes a free id: the lowest, or with `serial` the next one after the id taken last.
   *
   * @throws NoIdAvailableError (`ERR_NO_ID_AVAILABLE`)
   * @throws InvalidRangeError (`ERR_INVALID_RANGE`) when `within` is no part of the set
   */
  take(options: TakeOptions = {}): number {
    const { first, last } = options.within ?? this.#range
    if (!this.#contains(first) || !this.#contains(last) || first > last) {
      throw new InvalidRangeError(first, last, `a part of ${this.#range.first} to ${this.#range.last}`)
    }
    const start = this.#range.first
    try {
      const within = { first: first - start, last: last - start }
      return start + Number(this.#row.take({ within, serial: options.serial }))
    } catch (error) {
      if (isNetError(error, 'ERR_NO_BIT_AVAILABLE')) throw new NoIdAvailableError(first, last, error)
      throw error
    }
  }

  /**
   * Takes this very id.
   *
   * @throws IdInUseError (`ERR_ID_IN_USE`)
   * @throws IdOutOfRangeError (`ERR_ID_OUT_OF_RANGE`)
   */
  takeSpecific(id: number): void {
    if (!this.#contains(id)) throw new IdOutOfRangeError(id, this.#range.first, this.#range.last)
    if (this.has(id)) throw new IdInUseError(id)
    this.#row.set(id - this.#range.first)
  }

  /** Lets an id go. One that is not held, or does not belong to the set, changes nothing. */
  release(id: number): void {
    if (this.#contains(id)) this.#row.clear(id - this.#range.first)
  }

  #contains(id: number): boolean {
    return isId(id) && id >= this.#range.first && id <= this.#range.last
  }
}

function isId(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
