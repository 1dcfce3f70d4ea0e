import { ValueDamagedError, type Store, type StoreEntry, type StoreOperation } from '@net/datastore'
import { NoSuchPoolError, type IpamCallOptions, type Pool, type PoolRequest } from '@net/ipamapi'
import {
  formatCidr,
  isNetError,
  Mutex,
  parseCidr,
  randomId,
  Turns,
  unlessAborted,
  type CallOptions,
  type Cidr,
  type Logger,
} from '@net/types'
import type { AddressPool, HeldPool } from './address-pool.ts'
import { AddressSpace } from './address-space.ts'
import { conflictingKey } from './conflict.ts'
import type { PoolBase } from './pool-base.ts'
import { PoolDirectory, type StoredHold } from './pool-directory.ts'
import { StoredPool } from './stored-pool.ts'
import { decodeSpaceRecord, encodeRecord, SpaceKeys, type PoolRecord, type SpaceRecord } from './stored-records.ts'
import { Sweeper } from './sweep.ts'
import { isUnknown } from './unknown-outcome.ts'

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
  readonly #sweeper: Sweeper
  /** Pools of which nobody knows whether they were taken, and nobody here has them if so. */
  readonly #doubtful = new Set<PoolChange>()
  #directory: PoolDirectory | undefined
  #latest: SpaceRecord & { readonly version: number } = { version: 0, generation: 0, uniqueLocal: '' }

  constructor(name: string, deps: StoredSpaceDeps) {
    this.#name = name
    this.#deps = deps
    this.#keys = new SpaceKeys(name)
    this.#sweeper = new Sweeper({ ...deps, keys: this.#keys })
  }

  /** Takes the pool asked for, or chooses one. */
  async requestPool(request: PoolRequest, call: IpamCallOptions = {}): Promise<Pool> {
    const pool = await this.#locked(call, async (directory) => {
      for (;;) {
        call.signal?.throwIfAborted()
        await this.#undoDoubtful(directory, call)
        const taken = await this.#tryTake(directory, request, call)
        if (taken !== undefined) return taken
      }
    })
    if (this.#sweeper.isIdle) await this.#sweep(call)
    return pool
  }

  /** Lets a pool go, and with the last hold on it all its addresses. */
  async releasePool(poolId: string, call: IpamCallOptions = {}): Promise<void> {
    await this.#locked(call, (directory) => this.#release(directory, poolId, call))
    await this.#sweep(call)
  }

  /** A pool that is held. @throws NoSuchPoolError (`ERR_NO_SUCH_POOL`) */
  getPool(poolId: string, call: CallOptions = {}): StoredHold | Promise<StoredHold> {
    return (
      this.#directory?.findHold(poolId) ??
      this.#locked(call, (directory) => this.#getHold(directory, poolId, call)) // prettier-ignore
    )
  }

  /** Reads anew. @throws NoSuchPoolError (`ERR_NO_SUCH_POOL`) when `held` is not there any more, or is another's */
  refresh(held: HeldPool, pool: StoredPool, call: CallOptions): Promise<void> {
    return this.#locked(call, async (directory) => {
      const entry = await this.#find(this.#keys.pool(held.master.cidr), call)
      if (entry?.version !== pool.version) await this.#read(directory, call)
      if (directory.findHold(held.id)?.pool !== pool) throw new NoSuchPoolError(held.id)
    })
  }

  async #locked<T>(call: CallOptions, work: (directory: PoolDirectory) => Promise<T>): Promise<T> {
    using _lock = await this.#lock.lock(call)
    return await work(await this.#open(call))
  }

  /** Takes a pool in the address space and in the store. Gives nothing when somebody else was faster: look again. */
  async #tryTake(directory: PoolDirectory, request: PoolRequest, call: IpamCallOptions): Promise<Pool | undefined> {
    const held = await this.#hold(directory, request, call)
    const key = this.#keys.pool(held.master.cidr)
    const known = directory.findPool(key)
    if (directory.isUnreadable(key)) {
      directory.space.release(held)
      throw new ValueDamagedError(key, 'the pool cannot be used')
    }
    const change = { key, poolId: held.id, id: newId() }
    const record = { ...stateOf(held.master), incarnation: known?.incarnation ?? newId(), change: change.id }
    const put = { type: 'put', key, value: encodeRecord(record), ifVersion: known?.version ?? 0 } as const
    try {
      const version = await this.#commit([put], call)
      directory.add(key, held, record, version)
      this.#forgetVain(directory)
    } catch (error) {
      directory.space.release(held)
      if (isUnknown(error, call) && (call.with ?? []).length === 0)
        return this.#findOut(directory, { change, error, call })
      await this.#catchUp(error, [put], call)
      return undefined
    }
    return { id: held.id, pool: held.master.text, data: {} }
  }

  /** The pool, if it was taken after all. Where that cannot be told, it is let go when it can. */
  async #findOut(directory: PoolDirectory, { change, error, call }: Doubt): Promise<Pool> {
    this.#doubtful.add(change)
    call.signal?.throwIfAborted()
    try {
      await this.#read(directory, call)
    } catch {
      throw error
    }
    const found = this.#findTaken(directory, change)
    // It may still be on its way.
    if (found === undefined) throw error
    this.#doubtful.delete(change)
    return { id: change.poolId, pool: found.held.master.text, data: {} }
  }

  async #undoDoubtful(directory: PoolDirectory, call: CallOptions): Promise<void> {
    if (this.#doubtful.size === 0) return
    await this.#read(directory, call)
    for (const change of this.#doubtful) {
      if (this.#findTaken(directory, change) === undefined) continue
      await this.#release(directory, change.poolId, { signal: call.signal })
      this.#doubtful.delete(change)
    }
  }

  /** The generation has moved on: what was on its way until now, and is not there, fails when it arrives. */
  #forgetVain(directory: PoolDirectory): void {
    for (const change of this.#doubtful) {
      if (this.#findTaken(directory, change) === undefined) this.#doubtful.delete(change)
    }
  }

  #findTaken(directory: PoolDirectory, { key, poolId, id }: PoolChange): StoredHold | undefined {
    return directory.lastChangeOf(key) === id ? directory.findHold(poolId) : undefined
  }

  async #release(directory: PoolDirectory, poolId: string, call: IpamCallOptions): Promise<void> {
    for (;;) {
      call.signal?.throwIfAborted()
      const { held, pool } = await this.#getHold(directory, poolId, call)
      const key = this.#keys.pool(held.master.cidr)
      const record: PoolRecord = { ...stateWithout(held), incarnation: pool.incarnation, change: newId() }
      const isLast = !record.isHeld && record.parts.length === 0
      const note = this.#keys.doomed + pool.incarnation
      const ours: StoreOperation[] = isLast
        ? [{ type: 'delete', key, ifVersion: pool.version }, { type: 'put', key: note, value: new Uint8Array() }] // prettier-ignore
        : [{ type: 'put', key, value: encodeRecord(record), ifVersion: pool.version }]
      try {
        const version = await this.#commit(ours, call)
        directory.remove(key, held, isLast ? undefined : { version, change: record.change })
        if (isLast) this.#sweeper.add(note)
        return
      } catch (error) {
        await this.#catchUp(error, ours, call)
      }
    }
  }

  async #getHold(directory: PoolDirectory, poolId: string, call: CallOptions): Promise<StoredHold> {
    const known = directory.findHold(poolId)
    if (known !== undefined) return known
    await this.#refresh(directory, call)
    const found = directory.findHold(poolId)
    if (found !== undefined) return found
    const unreadable = directory.findUnreadable(poolId)
    throw unreadable === undefined
      ? new NoSuchPoolError(poolId)
      : new ValueDamagedError(unreadable, 'the pool cannot be used')
  }

  /** Holds a pool here. What is known may be old, so before it is refused the store is asked. */
  async #hold(directory: PoolDirectory, request: PoolRequest, call: CallOptions): Promise<HeldPool> {
    try {
      return directory.space.request(request)
    } catch (error) {
      if (!(await this.#refresh(directory, call))) throw error
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
  async #catchUp(error: unknown, ours: readonly StoreOperation[], call: CallOptions): Promise<void> {
    const raise = { type: 'check', key: this.#keys.space, ifVersion: 0 } as const
    if (conflictingKey(error, [raise, ...ours]) === undefined) throw error
    if (this.#directory !== undefined) await this.#read(this.#directory, call)
  }

  /** What is known of the pools, read when it is asked for first. */
  async #open(call: CallOptions): Promise<PoolDirectory> {
    if (this.#directory !== undefined) return this.#directory
    const { store, logger, basesOf } = this.#deps
    const { uniqueLocal } = await this.#readSpace(call)
    const directory = new PoolDirectory(new AddressSpace(this.#name, basesOf(parseCidr(uniqueLocal))), {
      logger,
      turns: new Turns(),
      makePool: (cidr, incarnation) =>
        new StoredPool(cidr, incarnation, { store, keys: this.#keys, refresh: (...hold) => this.refresh(...hold) }),
    })
    await this.#read(directory, call)
    this.#directory = directory
    return directory
  }

  /** Reads what was changed since the last time, if anything. */
  async #refresh(directory: PoolDirectory, call: CallOptions): Promise<boolean> {
    const entry = await this.#find(this.#keys.space, call)
    if (entry?.version === this.#latest.version) return false
    await this.#read(directory, call)
    return true
  }

  /** The record of the space comes first: what is changed after it makes our next change fail, and be tried again. */
  async #read(directory: PoolDirectory, { signal }: CallOptions): Promise<void> {
    const latest = await this.#readSpace({ signal })
    await directory.update(await this.#deps.store.list(this.#keys.pools, { signal }), { signal })
    this.#latest = latest
  }

  async #readSpace(call: CallOptions): Promise<SpaceRecord & { readonly version: number }> {
    const { store, makeUniqueLocal } = this.#deps
    const key = this.#keys.space
    const entry = await this.#find(key, call)
    if (entry !== undefined) return { ...decodeSpaceRecord(key, entry.value), version: entry.version }
    const record = { generation: 1, uniqueLocal: formatCidr(makeUniqueLocal()) }
    try {
      const version = await store.put(key, encodeRecord(record), { ifVersion: 0, signal: call.signal })
      return { ...record, version }
    } catch (error) {
      if (isNetError(error, 'ERR_VERSION_CONFLICT')) return this.#readSpace(call)
      throw error
    }
  }

  /** What is under a key of ours; the caller's operations are not its business. */
  #find(key: string, { signal }: CallOptions): Promise<StoreEntry | undefined> {
    return this.#deps.store.find(key, { signal })
  }

  /** What was asked for is done already: who gives up does not wait for it. */
  async #sweep({ signal }: CallOptions): Promise<void> {
    await unlessAborted(this.#sweeper.sweep(), signal).catch(() => undefined)
  }
}

/** A change of a pool's record: of all writes of a record, the one with this id. */
interface PoolChange {
  readonly key: string
  readonly poolId: string
  readonly id: string
}

/** A change of which it is not known whether it took place. */
interface Doubt {
  readonly change: PoolChange
  readonly error: unknown
  readonly call: CallOptions
}

function newId(): string {
  return randomId().slice(0, 16)
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
