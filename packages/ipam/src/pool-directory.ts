import { ValueDamagedError, type StoreListing } from '@net/datastore'
import { formatCidr, type CallOptions, type Cidr, type Logger, type Turns } from '@net/types'
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
  readonly change: string | undefined
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

/** Records that are learnt between two looks at the clock. */
const STEP = 16

/** What is known here of the pools in a store: their records, what is held of each, and their addresses. */
export class PoolDirectory {
  readonly space: AddressSpace
  readonly #deps: PoolDirectoryDeps
  readonly #known = new Map<string, Known>()
  readonly #holds = new Map<string, StoredHold>()
  /** What was said of records that make no sense: each time they are read would be too often. */
  readonly #complaints = new Map<string, string>()

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

  /** The change that a record was written with last. */
  lastChangeOf(key: string): string | undefined {
    return this.#known.get(key)?.change
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
  add(key: string, held: HeldPool, { incarnation, change }: PoolRecord, version: number): void {
    const known = this.#known.get(key)
    const pool = known?.pool ?? this.#deps.makePool(held.master.cidr, incarnation)
    this.#set(key, { pool, holds: [...(known?.holds ?? []), held], version, change })
  }

  /** Takes in that `held` was let go, and how the record was written since; without that, the whole record went. */
  remove(key: string, held: HeldPool, written: Pick<Known, 'version' | 'change'> | undefined): void {
    const known = this.#known.get(key)
    this.#release(held)
    if (written === undefined) this.#known.delete(key)
    else if (known?.pool !== undefined) {
      const holds = known.holds.filter((other) => other !== held)
      this.#set(key, { pool: known.pool, holds, ...written })
    }
  }

  /** Takes in all records as they are in the store. Those that are as they were cost next to nothing. */
  async update({ entries, damaged }: StoreListing, call: CallOptions): Promise<void> {
    const present = new Set([...entries.map(({ key }) => key), ...damaged])
    for (const key of this.#known.keys()) if (!present.has(key)) this.#forget(key)
    for (const key of this.#complaints.keys()) if (!present.has(key)) this.#complaints.delete(key)
    let learnt = 0
    for (const { key, value, version } of entries) {
      if (this.#known.get(key)?.version === version) continue
      if (++learnt % STEP === 0) await this.#deps.turns.take(call)
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
      this.#set(key, { pool, holds: this.#holdAll(key, record), version, change: record.change })
      this.#complaints.delete(key)
    } catch (cause) {
      this.#complain(key, (cause as Error).message)
      this.#known.set(key, { version, change: undefined, pool: undefined, holds: this.#block(key) })
    }
  }

  #complain(key: string, why: string): void {
    if (this.#complaints.get(key) === why) return
    this.#complaints.set(key, why)
    this.#deps.logger.error({ err: new ValueDamagedError(key, why), key }, 'the record of a pool cannot be used')
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

  #set(key: string, known: Known & { readonly pool: StoredPool }): void {
    const { pool, holds, version } = known
    pool.version = version
    this.#known.set(key, known)
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
