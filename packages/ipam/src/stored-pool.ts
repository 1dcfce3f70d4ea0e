import type { Store, StoreEntry, StoreOperation, StoreUnavailableError } from '@net/datastore'
import type { AddressRequest, IpamCallOptions, PoolStatus, TakenAddress } from '@net/ipamapi'
import { formatAddress, isNetError, type Cidr } from '@net/types'
import { AddressPool, type HeldPool } from './address-pool.ts'
import { conflictingKey } from './conflict.ts'
import { StoredOwner } from './stored-owner.ts'
import { decodeAddressKey, decodeText, encodeText, type SpaceKeys } from './stored-records.ts'

/** Addresses read from the store at once. */
const PAGE = 1000

/** What a pool needs of the address space that it is in. */
export interface StoredPoolDeps {
  readonly store: Store
  readonly keys: SpaceKeys
  /** Reads the records of pools anew, this one's too. @throws NoSuchPoolError when `held` is gone */
  refresh(held: HeldPool, pool: StoredPool): Promise<void>
}

/**
 * The addresses of a pool whose records are in a store: each has a key, and who writes it first has the address.
 * What is remembered here serves to choose one that is likely to be free. It may be old: another process took an
 * address (then its key is there, and the next one is chosen), or let one go (which is looked for before a request
 * is refused).
 */
export class StoredPool {
  readonly incarnation: string
  /** Version of the pool's record. It is checked with every address that is taken: no pool, no address. */
  version = 0
  readonly #cidr: Cidr
  #remembered: AddressPool | undefined
  readonly #deps: StoredPoolDeps
  #loading: Promise<void> | undefined

  constructor(cidr: Cidr, incarnation: string, deps: StoredPoolDeps) {
    this.incarnation = incarnation
    this.#cidr = cidr
    this.#deps = deps
  }

  /** What is likely to be taken. Made when it is needed: most pools of a store are others'. */
  get #known(): AddressPool {
    return (this.#remembered ??= new AddressPool(this.#cidr))
  }

  /** Takes an address for whoever holds `pool`. */
  async request(pool: HeldPool, request: AddressRequest, call: IpamCallOptions = {}): Promise<TakenAddress> {
    await (this.#loading ?? this.#load())
    const owner = this.#ownerOf(request.owner)
    for (;;) {
      call.signal?.throwIfAborted()
      const chosen = await this.#choose(pool, request)
      if (!(chosen instanceof Error) && (await this.#claim(pool, chosen, request, owner, call))) return chosen

      const own = owner === undefined ? undefined : await this.#findOwn(pool, request, owner)
      if (own === undefined) {
        if (chosen instanceof Error) throw chosen
      } else if (await this.#confirm(pool, own, call)) {
        return { address: `${this.#addressOf(own.key)}/${this.#cidr.prefixLength}`, data: {} }
      }
    }
  }

  /** Lets an address go; one that is not held is no error. */
  async release(pool: HeldPool, address: string, call: IpamCallOptions = {}): Promise<void> {
    const key = this.#addressKey(address)
    for (;;) {
      call.signal?.throwIfAborted()
      const ours = await this.#releaseOf(key)
      if (await this.#commit(pool, ours, call)) break
    }
    this.#known.release(address)
  }

  /** How full the pool is, and what is left in the part of it that is `pool`: as the store says now. */
  async status(pool: HeldPool): Promise<PoolStatus> {
    await this.#deps.refresh(pool, this)
    await this.#load()
    return this.#known.status(pool)
  }

  /** An address to claim, or the error that there is none. */
  async #choose(pool: HeldPool, request: AddressRequest): Promise<TakenAddress | Error> {
    const { address, serial } = request
    const choose = (): TakenAddress | Error => {
      try {
        return this.#known.request(pool, { address, serial })
      } catch (error) {
        if (isNetError(error, 'ERR_NO_ADDRESS_AVAILABLE') || isNetError(error, 'ERR_ADDRESS_IN_USE')) return error
        throw error
      }
    }
    const chosen = choose()
    if (!(chosen instanceof Error)) return chosen
    await this.#recall(address)
    return choose()
  }

  /** Asks the store about what seems to be taken. */
  async #recall(address: string | undefined): Promise<void> {
    if (address === undefined) return this.#load()
    const entry = await this.#deps.store.find(this.#addressKey(address))
    if (entry === undefined) this.#known.release(address)
  }

  /** Writes the key of an address. Says no when something changed meanwhile: look again. */
  async #claim(
    pool: HeldPool,
    chosen: TakenAddress,
    request: AddressRequest,
    owner: StoredOwner | undefined,
    call: IpamCallOptions,
  ): Promise<boolean> {
    const address = chosen.address.slice(0, chosen.address.indexOf('/'))
    const key = this.#addressKey(address)
    const ours: StoreOperation[] = [this.#check]
    if (owner !== undefined) ours.push(owner.add(address))
    ours.push({ type: 'put', key, value: encodeText(request.owner ?? ''), ifVersion: 0 })
    try {
      await this.#deps.store.transaction([...ours, ...(call.with ?? [])], call)
      return true
    } catch (error) {
      const conflict = conflictingKey(error, ours)
      // Somebody has it, though it may not be readable who; or, where a write's fate is unknown, we may.
      if (conflict !== key && !isUnknown(error)) this.#known.release(address)
      if (conflict === undefined) throw error
      if (conflict === this.#check.key) await this.#deps.refresh(pool, this)
      if (conflict === owner?.key) await owner.read()
      return false
    }
  }

  /** The key of an address that an owner holds, if it is one that the request may get. */
  async #findOwn(pool: HeldPool, request: AddressRequest, owner: StoredOwner): Promise<StoreEntry | undefined> {
    await owner.read()
    for (const address of request.address === undefined ? owner.addresses : [request.address]) {
      const key = this.#addressKey(address)
      const value = decodeAddressKey(key)
      const isWanted = request.address !== undefined || (value >= pool.first && value <= pool.last)
      const entry = isWanted ? await this.#deps.store.find(key) : undefined
      if (entry !== undefined && decodeText(key, entry.value) === request.owner) return entry
    }
    return undefined
  }

  /** Commits what the caller records, if anything, with an address that its owner holds already. */
  async #confirm(pool: HeldPool, { key, version }: StoreEntry, call: IpamCallOptions): Promise<boolean> {
    return this.#commit(pool, [{ type: 'check', key, ifVersion: version }], call)
  }

  /** What has to go with an address: its key, and its owner's when that names it. */
  async #releaseOf(key: string): Promise<StoreOperation[]> {
    let entry: StoreEntry | undefined
    try {
      entry = await this.#deps.store.find(key)
    } catch (error) {
      if (!isNetError(error, 'ERR_VALUE_DAMAGED')) throw error
      return [{ type: 'delete', key }] // whose it was cannot be read
    }
    if (entry === undefined) return []
    const operation = { type: 'delete', key, ifVersion: entry.version } as const
    const owner = this.#ownerOf(decodeText(key, entry.value))
    await owner?.read()
    return [operation, ...(owner?.remove(this.#addressOf(key)) ?? [])]
  }

  /** Carries out operations with the caller's. Says no when one of `own` met with a change: look again. */
  async #commit(pool: HeldPool, own: readonly StoreOperation[], call: IpamCallOptions): Promise<boolean> {
    const ours = [this.#check, ...own]
    try {
      await this.#deps.store.transaction([...ours, ...(call.with ?? [])], call)
      return true
    } catch (error) {
      const conflict = conflictingKey(error, ours)
      if (conflict === undefined) throw error
      if (conflict === this.#check.key) await this.#deps.refresh(pool, this)
      return false
    }
  }

  /** The pool is there, and is this one: a condition of all that is done in it. */
  get #check(): StoreOperation & { readonly type: 'check' } {
    return { type: 'check', key: this.#deps.keys.pool(this.#cidr), ifVersion: this.version }
  }

  /** Learns what is taken. Whoever comes while it is read waits for the same reading. */
  #load(): Promise<void> {
    const loading = this.#read().catch((error: unknown) => {
      this.#loading = undefined
      throw error
    })
    this.#loading = loading
    return loading
  }

  async #read(): Promise<void> {
    const { store, keys } = this.#deps
    let { first } = this.#known
    for (let after: string | undefined, more = true; more;) {
      const page = await store.list(keys.addresses(this.incarnation), { after, limit: PAGE })
      // Who holds a damaged one cannot be read any more, but somebody does.
      const read = [...page.entries.map(({ key }) => key), ...page.damaged].sort()
      const taken = read.flatMap(tryDecodeAddressKey).filter((value) => value >= first && value <= this.#known.last)
      const last = (page.more ? taken.at(-1) : undefined) ?? this.#known.last
      this.#known.learn({ first, last }, taken)
      first = last + 1n
      after = read.at(-1)
      more = page.more && first <= this.#known.last
    }
  }

  /** Whoever has no name is nobody. */
  #ownerOf(owner: string | undefined): StoredOwner | undefined {
    if (owner === undefined || owner === '') return undefined
    return new StoredOwner(this.#deps.keys.owner(this.incarnation, owner), this.#deps.store)
  }

  #addressOf(key: string): string {
    return formatAddress({ family: this.#cidr.address.family, value: decodeAddressKey(key) })
  }

  /** Key of an address of the pool. @throws AddressOutOfRangeError (`ERR_ADDRESS_OUT_OF_RANGE`) */
  #addressKey(address: string): string {
    const value = this.#known.numberOf(address)
    return this.#deps.keys.address(this.incarnation, this.#cidr.address.family, value)
  }
}

/** Whether a write may have taken place although it failed. */
function isUnknown(error: unknown): boolean {
  return isNetError(error, 'ERR_STORE_UNAVAILABLE') && (error as Partial<StoreUnavailableError>).outcome === 'unknown'
}

/** What is no address in the place of one is nobody's. */
function tryDecodeAddressKey(key: string): bigint[] {
  try {
    return [decodeAddressKey(key)]
  } catch {
    return []
  }
}
