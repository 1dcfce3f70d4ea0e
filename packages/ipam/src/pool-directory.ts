import { ValueDamagedError, type StoreListing } from '@net/datastore'
import { formatCidr, type Cidr, type Logger, type Turns } from '@net/types'
import type { HeldPool } from './address-pool.ts'
import type { AddressSpace } from './address-space.ts'
import type { StoredPool } from './stored-pool.ts'
import { decodePoolKey, decodePoolRecord, type PoolRecord } from './stored-records.ts'

/** A pool that somebody holds, and its addresses. */
export interface StoredHold {
  readonly held: HeldPool
  readonly pool: StoredPool
}

/** A pool's record as it was read or written last. */
interface Known {
  readonly version: number
  /** Its addresses; `undefined` where the record makes no sense. */
  readonly pool: StoredPool | undefined
  /** What is held of it in the address space. */
  readonly holds: readonly HeldPool[]
}

export interface PoolDirectoryDeps {
  readonly logger: Logger
  readonly turns: Turns
  makePool(cidr: Cidr, incarnation: string): StoredPool
}

/** What is known here of the pools in a store: their records, what is held of each, and their addresses. */
export class PoolDirectory {
  readonly space: AddressSpace
  readonly #deps: PoolDirectoryDeps
  readonly #known = new Map<string, Known>()
  readonly #holds = new Map<string, StoredHold>()

  constructor(space: AddressSpace, deps: PoolDirectoryDeps) {
    this.space = space
    this.#deps = deps
  }

  findHold(poolId: string): StoredHold | undefined {
    return this.#holds.get(poolId)
  }

  /** The addresses of a pool, by the key of its record. */
  findPool(key: string): StoredPool | undefined {
    return this.#known.get(key)?.pool
  }

  /** A record that makes no sense, of a pool that `poolId` names as a whole. */
  findUnreadable(poolId: string): string | undefined {
    for (const [key, { pool, holds }] of this.#known) {
      if (pool === undefined && holds.some(({ id }) => id === poolId)) return key
    }
    return undefined
  }

  /** Whether a record is there and makes no sense. */
  isUnreadable(key: string): boolean {
    const known = this.#known.get(key)
    return known !== undefined && known.pool === undefined
  }

  /** Takes in what was written for somebody who holds `held` of the address space now. */
  add(key: string, held: HeldPool, { incarnation }: PoolRecord, version: number): void {
    const known = this.#known.get(key)
    const pool = known?.pool ?? this.#deps.makePool(held.master.cidr, incarnation)
    this.#set(key, pool, [...(known?.holds ?? []), held], version)
  }

  /** Takes in that `held` was let go; without version, the whole record went. */
  remove(key: string, held: HeldPool, version: number | undefined): void {
    const known = this.#known.get(key)
    this.#release(held)
    if (version === undefined) this.#known.delete(key)
    else if (known?.pool !== undefined) {
      const left = known.holds.filter((other) => other !== held)
      this.#set(key, known.pool, left, version)
    }
  }

  /** Takes in all records as they are in the store. Those that are as they were cost next to nothing. */
  async update({ entries, damaged }: StoreListing): Promise<void> {
    const present = new Set([...entries.map(({ key }) => key), ...damaged])
    for (const key of this.#known.keys()) if (!present.has(key)) this.#forget(key)
    for (const { key, value, version } of entries) {
      if (this.#known.get(key)?.version === version) continue
      await this.#deps.turns.take()
      this.#learn(key, version, () => decodePoolRecord(key, value))
    }
    for (const key of damaged) {
      this.#learn(key, 0, () => {
        throw new Error('its checksum is wrong')
      })
    }
  }

  /** A record that makes no sense is left where it is. Its pool counts as held, and is used by nobody. */
  #learn(key: string, version: number, decode: () => PoolRecord): void {
    const former = this.#known.get(key)?.pool
    this.#forget(key)
    try {
      const record = decode()
      const isSame = former?.incarnation === record.incarnation
      const pool = isSame ? former : this.#deps.makePool(decodePoolKey(key), record.incarnation)
      this.#set(key, pool, this.#holdAll(key, record), version)
    } catch (cause) {
      const error = new ValueDamagedError(key, (cause as Error).message)
      this.#deps.logger.error({ error, key }, 'the record of a pool cannot be used')
      this.#known.set(key, { version, pool: undefined, holds: this.#block(key) })
    }
  }

  #holdAll(key: string, { isHeld, parts }: PoolRecord): HeldPool[] {
    const pool = formatCidr(decodePoolKey(key))
    const held: HeldPool[] = []
    try {
      for (const subPool of [...(isHeld ? [undefined] : []), ...parts]) {
        held.push(this.space.request({ addressSpace: this.space.name, pool, subPool }))
      }
    } catch (error) {
      for (const one of held) this.space.release(one)
      throw error
    }
    return held
  }

  #block(key: string): HeldPool[] {
    try {
      return this.#holdAll(key, { incarnation: '', isHeld: true, parts: [] })
    } catch {
      return [] // another pool is there already
    }
  }

  #set(key: string, pool: StoredPool, holds: readonly HeldPool[], version: number): void {
    pool.version = version
    this.#known.set(key, { version, pool, holds })
    for (const held of holds) this.#holds.set(held.id, { held, pool })
  }

  #forget(key: string): void {
    for (const held of this.#known.get(key)?.holds ?? []) this.#release(held)
    this.#known.delete(key)
  }

  #release(held: HeldPool): void {
    this.space.release(held)
    this.#holds.delete(held.id)
  }
}
