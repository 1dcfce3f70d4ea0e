import { Bitseq } from '@net/bitseq'
import { addressBits, formatCidr, isNetError, rangeOf, type AddressFamily, type Cidr } from '@net/types'
import { type PoolBase } from './pool-base.ts'
import { rangesOverlap, type Range } from './range-index.ts'

/** Something that stands in the way of a pool, and how messages name it. */
export interface Blocker extends Range {
  readonly what: string
}

/** Finds what stands in the way of a range. */
export type FindBlocker = (range: Range) => Blocker | undefined

const LONGEST_EXPLANATION = 8
/** Rows end there, and so do the choices out of one base. */
const MOST_SLOTS = 1n << 64n

/** Chooses pools: the lowest free subnet of its bases. Computed, never listed. */
export class PoolChooser {
  readonly #bases: readonly Base[]

  /** The bases must be in order, and must not overlap. */
  constructor(bases: readonly PoolBase[]) {
    this.#bases = bases.map((base) => new Base(base))
  }

  /** The lowest subnet that nothing stands in the way of. */
  choose(findBlocker: FindBlocker): Cidr | undefined {
    for (const base of this.#bases) {
      const found = base.choose(findBlocker)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Remembers that a pool is held, so that those who choose pass it by without looking. */
  hold(pool: Cidr): void {
    for (const base of this.#bases) base.mark(pool, true)
  }

  release(pool: Cidr): void {
    for (const base of this.#bases) base.mark(pool, false)
  }

  /** Says what stands in the way, when nothing is free. */
  explain(findBlocker: FindBlocker): string {
    const reasons: string[] = []
    for (const base of this.#bases) {
      for (const reason of base.blocked(findBlocker)) {
        if (reasons.length === LONGEST_EXPLANATION) return `${reasons.join(', ')}, and so on`
        reasons.push(reason)
      }
    }
    return reasons.join(', ')
  }
}

/** The subnets of one base. */
class Base {
  readonly #family: AddressFamily
  readonly #range: Range
  readonly #size: number
  readonly #hostBits: bigint
  /** A bit for each subnet that is held as it is. */
  readonly #held: Bitseq

  constructor({ base, size }: PoolBase) {
    this.#family = base.address.family
    this.#range = rangeOf(base)
    this.#size = size
    this.#hostBits = BigInt(addressBits(this.#family) - size)
    const slots = 1n << BigInt(size - base.prefixLength)
    this.#held = new Bitseq(slots < MOST_SLOTS ? slots : MOST_SLOTS)
  }

  choose(findBlocker: FindBlocker): Cidr | undefined {
    let slot = this.#nextFree(0n)
    while (slot !== undefined) {
      const blocker = findBlocker(this.#rangeOf(slot))
      if (blocker === undefined) return this.#cidrOf(slot)
      slot = this.#nextFree(this.#slotAfter(blocker))
    }
    return undefined
  }

  mark(pool: Cidr, isHeld: boolean): void {
    const { value, family } = pool.address
    if (family !== this.#family || pool.prefixLength !== this.#size) return
    if (value < this.#range.first || value > this.#range.last) return
    const slot = (value - this.#range.first) >> this.#hostBits
    if (slot >= this.#held.length) return
    if (!isHeld) this.#held.clear(slot)
    else if (!this.#held.has(slot)) this.#held.set(slot)
  }

  *blocked(findBlocker: FindBlocker): Generator<string> {
    for (let slot = 0n; slot < this.#held.length;) {
      const blocker = findBlocker(this.#rangeOf(slot))
      if (blocker === undefined) return
      yield `${formatCidr(this.#cidrOf(slot))} overlaps ${blocker.what}`
      slot = this.#slotAfter(blocker)
    }
  }

  #nextFree(slot: bigint): bigint | undefined {
    if (slot >= this.#held.length) return undefined
    try {
      const free = this.#held.take({ within: { first: slot, last: this.#held.length - 1n } })
      // It is marked when the pool is held, not when it is looked at.
      this.#held.clear(free)
      return free
    } catch (error) {
      if (isNetError(error, 'ERR_NO_BIT_AVAILABLE')) return undefined
      throw error
    }
  }

  #slotAfter(blocker: Range): bigint {
    return ((blocker.last - this.#range.first) >> this.#hostBits) + 1n
  }

  #rangeOf(slot: bigint): Range {
    const first = this.#range.first + (slot << this.#hostBits)
    return { first, last: first + (1n << this.#hostBits) - 1n }
  }

  #cidrOf(slot: bigint): Cidr {
    return { address: { family: this.#family, value: this.#rangeOf(slot).first }, prefixLength: this.#size }
  }
}

/** What callers want left alone, as something that stands in the way. */
export function excludedBlockers(excluded: readonly Cidr[], family: AddressFamily): readonly Blocker[] {
  return excluded
    .filter(({ address }) => address.family === family)
    .map((cidr) => ({ ...rangeOf(cidr), what: `excluded ${formatCidr(cidr)}` }))
}

/** The first of `blockers` that has an address in common with `range`. */
export function findAmong(blockers: readonly Blocker[], range: Range): Blocker | undefined {
  return blockers.find((blocker) => rangesOverlap(blocker, range))
}
