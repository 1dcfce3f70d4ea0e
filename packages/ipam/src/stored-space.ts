import { ValueDamagedError, type Store, type StoreOperation } from '@net/datastore'
import { NoSuchPoolError, type IpamCallOptions, type Pool, type PoolRequest } from '@net/ipamapi'
import { formatCidr, isNetError, Mutex, parseCidr, randomId, Turns, type Cidr, type Logger } from '@net/types'
import type { AddressPool, HeldPool } from './address-pool.ts'
import { AddressSpace } from './address-space.ts'
import { conflictingKey } from './conflict.ts'
import type { PoolBase } from './pool-base.ts'
import { PoolDirectory, type StoredHold } from './pool-directory.ts'
import { StoredPool } from './stored-pool.ts'
import { decodeSpaceRecord, encodeRecord, SpaceKeys, type PoolRecord, type SpaceRecord } from './stored-records.ts'
import { sweep } from './sweep.ts'

/** What an address space in a store is made of. */
export interface StoredSpaceDeps {
  readonly store: Store
  readonly logger: Logger
  /** The bases that pools are chosen from, given the unique local prefix of all who share the store. */
  readonly basesOf: (uniqueLocal: Cidr) => readonly PoolBase[]
  /** Makes such a prefix, for the first of them. */
  readonly makeUniqueLocal: () => Cidr
}

/**
 * The pools of an address space whose records are in a store. Every change of them is one transaction, which also
 * raises the generation in the record of the space: who does not know the latest pools cannot add to them.
 */
export class StoredSpace {
  readonly #name: string
  readonly #deps: StoredSpaceDeps
  readonly #keys: SpaceKeys
  readonly #lock = new Mutex()
  #directory: PoolDirectory | undefined
  #latest: SpaceRecord & { readonly version: number } = { version: 0, generation: 0, uniqueLocal: '' }

  constructor(name: string, deps: StoredSpaceDeps) {
    this.#name = name
    this.#deps = deps
    this.#keys = new SpaceKeys(name)
  }

  /** Takes the pool asked for, or chooses one. */
  async requestPool(request: PoolRequest, call: IpamCallOptions = {}): Promise<Pool> {
    using _lock = await this.#lock.lock(call)
    const directory = await this.#open()
    for (;;) {
      call.signal?.throwIfAborted()
      const held = await this.#hold(directory, request)
      const key = this.#keys.pool(held.master.cidr)
      const known = directory.findPool(key)
      if (directory.isUnreadable(key)) {
        directory.space.release(held)
        throw new ValueDamagedError(key, 'the pool cannot be used')
      }
      const record = { ...stateOf(held.master), incarnation: known?.incarnation ?? randomId().slice(0, 16) }
      const put = { type: 'put', key, value: encodeRecord(record), ifVersion: known?.version ?? 0 } as const
      try {
        const version = await this.#commit([put], call)
        directory.add(key, held, record, version)
        return { id: held.id, pool: held.master.text, data: {} }
      } catch (error) {
        directory.space.release(held)
        await this.#catchUp(error, [put])
      }
    }
  }

  /** Lets a pool go, and with the last hold on it all its addresses. */
  async releasePool(poolId: string, call: IpamCallOptions = {}): Promise<void> {
    using _lock = await this.#lock.lock(call)
    const directory = await this.#open()
    for (;;) {
      call.signal?.throwIfAborted()
      const { held, pool } = await this.#getHold(directory, poolId)
      const key = this.#keys.pool(held.master.cidr)
      const record = { ...stateWithout(held), incarnation: pool.incarnation }
      const isLast = !record.isHeld && record.parts.length === 0
      const doomed = this.#keys.doomed + pool.incarnation
      const ours: StoreOperation[] = isLast
        ? [{ type: 'delete', key, ifVersion: pool.version }, { type: 'put', key: doomed, value: new Uint8Array() }] // prettier-ignore
        : [{ type: 'put', key, value: encodeRecord(record), ifVersion: pool.version }]
      try {
        const version = await this.#commit(ours, call)
        directory.remove(key, held, isLast ? undefined : version)
        if (isLast) await this.#sweep(doomed)
        return
      } catch (error) {
        await this.#catchUp(error, ours)
      }
    }
  }

  /** A pool that is held. @throws NoSuchPoolError (`ERR_NO_SUCH_POOL`) */
  async getPool(poolId: string): Promise<StoredHold> {
    const known = this.#directory?.findHold(poolId)
    if (known !== undefined) return known
    using _lock = await this.#lock.lock()
    return await this.#getHold(await this.#open(), poolId)
  }

  /** Reads anew. @throws NoSuchPoolError (`ERR_NO_SUCH_POOL`) when `held` is not there any more, or is another's */
  async refresh(held: HeldPool, pool: StoredPool): Promise<void> {
    using _lock = await this.#lock.lock()
    const directory = await this.#open()
    const entry = await this.#deps.store.find(this.#keys.pool(held.master.cidr))
    if (entry?.version !== pool.version) await this.#read(directory)
    if (directory.findHold(held.id)?.pool !== pool) throw new NoSuchPoolError(held.id)
  }

  async #getHold(directory: PoolDirectory, poolId: string): Promise<StoredHold> {
    const known = directory.findHold(poolId)
    if (known !== undefined) return known
    await this.#refresh(directory)
    const found = directory.findHold(poolId)
    if (found !== undefined) return found
    const unreadable = directory.findUnreadable(poolId)
    throw unreadable === undefined
      ? new NoSuchPoolError(poolId)
      : new ValueDamagedError(unreadable, 'the pool cannot be used')
  }

  /** Holds a pool here. What is known may be old, so before it is refused the store is asked. */
  async #hold(directory: PoolDirectory, request: PoolRequest): Promise<HeldPool> {
    try {
      return directory.space.request(request)
    } catch (error) {
      if (!(await this.#refresh(directory))) throw error
      return directory.space.request(request)
    }
  }

  /** Changes records of pools, unless somebody else changed one since they were read. */
  async #commit(ours: readonly StoreOperation[], call: IpamCallOptions): Promise<number> {
    const { version: ifVersion, uniqueLocal, generation } = this.#latest
    const next = { uniqueLocal, generation: generation + 1 }
    const raise = { type: 'put', key: this.#keys.space, value: encodeRecord(next), ifVersion } as const
    const version = await this.#deps.store.transaction([raise, ...ours, ...(call.with ?? [])], call)
    this.#latest = { ...next, version }
    return version
  }

  /** After a change that failed: reads what somebody else changed, or throws what stood in the way. */
  async #catchUp(error: unknown, ours: readonly StoreOperation[]): Promise<void> {
    const raise = { type: 'check', key: this.#keys.space, ifVersion: 0 } as const
    if (conflictingKey(error, [raise, ...ours]) === undefined) throw error
    if (this.#directory !== undefined) await this.#read(this.#directory)
  }

  /** What is known of the pools, read when it is asked for first. */
  async #open(): Promise<PoolDirectory> {
    if (this.#directory !== undefined) return this.#directory
    const { store, logger, basesOf } = this.#deps
    const { uniqueLocal } = await this.#readSpace()
    const directory = new PoolDirectory(new AddressSpace(this.#name, basesOf(parseCidr(uniqueLocal))), {
      logger,
      turns: new Turns(),
      makePool: (cidr, incarnation) =>
        new StoredPool(cidr, incarnation, { store, keys: this.#keys, refresh: (...hold) => this.refresh(...hold) }),
    })
    await this.#read(directory)
    this.#directory = directory
    const { entries } = await store.list(this.#keys.doomed)
    for (const { key } of entries) await this.#sweep(key)
    return directory
  }

  /** Reads what was changed since the last time, if anything. */
  async #refresh(directory: PoolDirectory): Promise<boolean> {
    const entry = await this.#deps.store.find(this.#keys.space)
    if (entry?.version === this.#latest.version) return false
    await this.#read(directory)
    return true
  }

  /** The record of the space comes first: what is changed after it makes our next change fail, and be tried again. */
  async #read(directory: PoolDirectory): Promise<void> {
    const latest = await this.#readSpace()
    await directory.update(await this.#deps.store.list(this.#keys.pools))
    this.#latest = latest
  }

  async #readSpace(): Promise<SpaceRecord & { readonly version: number }> {
    const { store, makeUniqueLocal } = this.#deps
    const key = this.#keys.space
    const entry = await store.find(key)
    if (entry !== undefined) return { ...decodeSpaceRecord(key, entry.value), version: entry.version }
    const record = { generation: 1, uniqueLocal: formatCidr(makeUniqueLocal()) }
    try {
      return { ...record, version: await store.put(key, encodeRecord(record), { ifVersion: 0 }) }
    } catch (error) {
      if (isNetError(error, 'ERR_VERSION_CONFLICT')) return this.#readSpace()
      throw error
    }
  }

  /** The pool is gone already, so a failure is for the next one to make good. */
  async #sweep(doomed: string): Promise<void> {
    try {
      await sweep(this.#deps.store, this.#keys, doomed)
    } catch (error) {
      this.#deps.logger.error({ error, key: doomed }, 'the addresses of a released pool could not be deleted yet')
    }
  }
}

type PoolState = Pick<PoolRecord, 'isHeld' | 'parts'>

function stateOf({ isHeld, subPools }: AddressPool): PoolState {
  return { isHeld, parts: Array.from(subPools, ({ text }) => text) }
}

/** What is held of a pool once `held` is not. */
function stateWithout(held: HeldPool): PoolState {
  const { isHeld, parts } = stateOf(held.master)
  return held.isWhole ? { isHeld: false, parts } : { isHeld, parts: parts.filter((text) => text !== held.text) }
}
