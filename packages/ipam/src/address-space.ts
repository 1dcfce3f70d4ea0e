import {
  InvalidPoolError,
  InvalidSubPoolError,
  NoPoolAvailableError,
  PoolOverlapError,
  type PoolRequest,
} from '@net/ipamapi'
import { containsAddress, formatCidr, networkOf, parseCidr, rangeOf, type AddressFamily, type Cidr } from '@net/types'
import { AddressPool, type HeldPool } from './address-pool.ts'
import { disjointBases, parsePool, type PoolBase } from './pool-base.ts'
import { excludedBlockers, findAmong, PoolChooser, type FindBlocker } from './pool-chooser.ts'
import { RangeIndex } from './range-index.ts'

/** The pools of one family. */
interface FamilyPools {
  readonly pools: RangeIndex<AddressPool>
  chooser: PoolChooser
}

/** Pools that do not overlap each other. */
export class AddressSpace {
  readonly name: string
  readonly #families: Readonly<Record<AddressFamily, FamilyPools>>

  constructor(name: string, bases: readonly PoolBase[]) {
    this.name = name
    const poolsOf = (family: AddressFamily): FamilyPools => ({
      pools: new RangeIndex(),
      chooser: new PoolChooser(disjointBases(bases, family)),
    })
    this.#families = { 4: poolsOf(4), 6: poolsOf(6) }
  }

  /** Chooses out of others from now on. What is held stays held, and is in the way. */
  changeBases(bases: readonly PoolBase[]): void {
    for (const family of [4, 6] as const) {
      this.#families[family].chooser = new PoolChooser(disjointBases(bases, family))
    }
  }

  /** Takes the pool asked for, or chooses one. */
  request(request: PoolRequest): HeldPool {
    if (request.pool === undefined) {
      if (request.subPool !== undefined) throw new InvalidSubPoolError(request.subPool, 'a pool that it is part of')
      return this.#hold(this.#choose(request))
    }
    const pool = networkOf(parsePool(request.pool))
    if (request.family !== undefined && request.family !== pool.address.family) {
      throw new InvalidPoolError(request.pool, `a pool of IPv${request.family}`)
    }
    return request.subPool === undefined ? this.#hold(pool) : this.#holdPart(pool, parseSubPool(request.subPool, pool))
  }

  /** Lets go what {@link request} gave. The last one to go takes the whole pool with it, and all addresses in it. */
  release(held: HeldPool): void {
    const { master } = held
    if (held.isWhole) master.isHeld = false
    else master.subPools.remove(held)
    if (!master.isIdle) return
    const { pools, chooser } = this.#families[master.cidr.address.family]
    pools.remove(master)
    chooser.release(master.cidr)
  }

  #choose({ family = 4, exclude = [] }: PoolRequest): Cidr {
    const { pools, chooser } = this.#families[family]
    const excluded = excludedBlockers(
      exclude.map((text) => parseCidr(text)),
      family,
    )
    const findBlocker: FindBlocker = (range) => {
      const pool = pools.findOverlap(range)
      return pool === undefined ? findAmong(excluded, range) : { ...rangeOf(pool.cidr), what: `pool ${pool.text}` }
    }
    const chosen = chooser.choose(findBlocker)
    if (chosen === undefined) throw new NoPoolAvailableError(this.name, chooser.explain(findBlocker))
    return chosen
  }

  #hold(cidr: Cidr): HeldPool {
    const master = this.#add(cidr)
    master.isHeld = true
    const { text, first, last } = master
    return { id: `${this.name}/${text}`, text, isWhole: true, first, last, master }
  }

  #holdPart(pool: Cidr, part: Cidr): HeldPool {
    const text = formatCidr(part)
    const range = rangeOf(part)
    const existing = this.#families[pool.address.family].pools.findOverlap(rangeOf(pool))
    const isSame = existing?.cidr.prefixLength === pool.prefixLength
    if (isSame) {
      const other = existing.subPools.findOverlap(range)
      if (other !== undefined) throw new PoolOverlapError(text, other.text, `address space ${this.name}`)
    }
    const master = isSame ? existing : this.#add(pool)
    const held = { id: `${this.name}/${master.text}/${text}`, text, isWhole: false, ...range, master }
    master.subPools.add(held)
    return held
  }

  /** Makes a pool, unless it is in another's way. */
  #add(cidr: Cidr): AddressPool {
    const { pools, chooser } = this.#families[cidr.address.family]
    const other = pools.findOverlap(rangeOf(cidr))
    if (other !== undefined) throw new PoolOverlapError(formatCidr(cidr), other.text, `address space ${this.name}`)
    const pool = new AddressPool(cidr)
    pools.add(pool)
    chooser.hold(cidr)
    return pool
  }
}

function parseSubPool(text: string, pool: Cidr): Cidr {
  const expected = `a part of ${formatCidr(pool)}`
  let part: Cidr
  try {
    part = networkOf(parseCidr(text))
  } catch (cause) {
    throw new InvalidSubPoolError(text, expected, cause)
  }
  if (part.prefixLength < pool.prefixLength || !containsAddress(pool, part.address)) {
    throw new InvalidSubPoolError(text, expected)
  }
  return part
}
