import type { Store, StoreEntry, StoreOperation } from '@net/datastore'
import type { AddressRequest, IpamCallOptions, PoolStatus, TakenAddress } from '@net/ipamapi'
import { isNetError, unlessAborted, type CallOptions, type Cidr } from '@net/types'
import { AddressPool, type HeldPool } from './address-pool.ts'
import { conflictingKey } from './conflict.ts'
import { SharedRun } from './shared-run.ts'
import { StoredOwner } from './stored-owner.ts'
import { decodeAddressKey, decodeText, encodeText, type SpaceKeys } from './stored-records.ts'
import { isUnknown } from './unknown-outcome.ts'

/** Addresses read from the store at once. */
const PAGE = 1000

/** What a pool needs of the address space that it is in. */
export interface StoredPoolDeps {
  readonly store: Store
  readonly keys: SpaceKeys
  /** Reads the records of pools anew, this one's too. @throws NoSuchPoolError when `held` is gone */
  refresh(held: HeldPool, pool: StoredPool, call: CallOptions): Promise<void>
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
  #madeKey: string | undefined
  #remembered: AddressPool | undefined
  readonly #deps: StoredPoolDeps
  #madeLoading: SharedRun | undefined
  #isLoaded = false

  constructor(cidr: Cidr, incarnation: string, deps: StoredPoolDeps) {
    this.incarnation = incarnation
    this.#cidr = cidr
    this.#deps = deps
  }

  /** Key of the pool's record. */
  get #key(): string {
    return (this.#madeKey ??= this.#deps.keys.pool(this.#cidr))
  }

  /** What is likely to be taken. Made when it is needed: most pools of a store are others'. */
  get #known(): AddressPool {
    return (this.#remembered ??= new AddressPool(this.#cidr))
  }

  get #loading(): SharedRun {
    return (this.#madeLoading ??= new SharedRun(() => this.#read()))
  }

  /** Takes an address for whoever holds `pool`. */
  async request(pool: HeldPool, request: AddressRequest, call: IpamCallOptions = {}): Promise<TakenAddress> {
    if (!this.#isLoaded) await unlessAborted(this.#loading.join(), call.signal)
    const owner = this.#ownerOf(request.owner)
    for (;;) {
      call.signal?.throwIfAborted()
      const chosen = this.#choose(pool, request) ?? (await this.#chooseAnew(pool, request, call))
      const isClaimed = typeof chosen === 'bigint' && (await this.#claim(pool, chosen, { owner, request, call }))
      if (isClaimed) return this.#taken(chosen)

      const own = owner === undefined ? undefined : await this.#findOwn(pool, request, owner, call)
      if (own === undefined) {
        if (typeof chosen !== 'bigint') throw chosen
      } else if (await this.#confirm(pool, own, call)) {
        return this.#taken(decodeAddressKey(own.key))
      }
    }
  }

  /** Lets an address go; one that is not held is no error. */
  async release(pool: HeldPool, address: string, call: IpamCallOptions = {}): Promise<void> {
    const key = this.#addressKey(address)
    for (;;) {
      call.signal?.throwIfAborted()
      const ours = await this.#releaseOf(key, call)
      if (await this.#commit(pool, ours, call)) break
    }
    this.#known.release(address)
  }

  /** How full the pool is, and what is left in the part of it that is `pool`: as the store says now. */
  async status(pool: HeldPool, call: CallOptions = {}): Promise<PoolStatus> {
    await this.#deps.refresh(pool, this, call)
    await this.#load(call)
    return this.#known.status(pool)
  }

  #taken(value: bigint): TakenAddress {
    return { address: `${this.#known.format(value)}/${this.#cidr.prefixLength}`, data: {} }
  }

  /** An address to claim; `undefined` where none seems to be free. */
  #choose(pool: HeldPool, request: AddressRequest): bigint | undefined {
    const chosen = this.#tryTake(pool, request)
    return typeof chosen === 'bigint' ? chosen : undefined
  }

  /** An address to claim after the store was asked about what seems to be taken, or the error that there is none. */
  async #chooseAnew(pool: HeldPool, request: AddressRequest, call: CallOptions): Promise<bigint | Error> {
    if (request.address === undefined) await this.#load(call)
    else if ((await this.#findKey(this.#addressKey(request.address), call)) === undefined)
      this.#known.release(request.address)
    return this.#tryTake(pool, request)
  }

  #tryTake(pool: HeldPool, { address, serial }: AddressRequest): bigint | Error {
    try {
      return this.#known.take(pool, { address, serial })
    } catch (error) {
      if (isNetError(error, 'ERR_NO_ADDRESS_AVAILABLE') || isNetError(error, 'ERR_ADDRESS_IN_USE')) return error
      throw error
    }
  }

  /** Writes the key of an address. Says no when something changed meanwhile: look again. */
  async #claim(pool: HeldPool, chosen: bigint, { owner, request, call }: Claim): Promise<boolean> {
    const key = this.#keyOf(chosen)
    const ours: StoreOperation[] = [this.#check]
    if (owner !== undefined) ours.push(owner.add(this.#known.format(chosen)))
    ours.push({ type: 'put', key, value: encodeText(request.owner ?? ''), ifVersion: 0 })
    try {
      await this.#deps.store.transaction([...ours, ...(call.with ?? [])], call)
      return true
    } catch (error) {
      const conflict = conflictingKey(error, ours)
      // Somebody has it, though it may not be readable who; or, where a write's fate is unknown, we may.
      if (conflict !== key && !isUnknown(error, call)) this.#giveBack(chosen, request)
      if (conflict === undefined) throw error
      if (conflict === this.#key) await this.#deps.refresh(pool, this, call)
      if (conflict === owner?.key) await owner.read(call)
      return false
    }
  }

  #giveBack(chosen: bigint, { address }: AddressRequest): void {
    if (address === undefined) this.#known.giveBack(chosen)
    else this.#known.release(address)
  }

  /** The key of an address that an owner holds, if it is one that the request may get. */
  async #findOwn(
    pool: HeldPool,
    request: AddressRequest,
    owner: StoredOwner,
    call: CallOptions,
  ): Promise<StoreEntry | undefined> {
    await owner.read(call)
    for (const address of request.address === undefined ? owner.addresses : [request.address]) {
      const key = this.#addressKey(address)
      const value = decodeAddressKey(key)
      const isWanted = request.address !== undefined || (value >= pool.first && value <= pool.last)
      const entry = isWanted ? await this.#findKey(key, call) : undefined
      if (entry !== undefined && decodeText(key, entry.value) === request.owner) return entry
    }
    return undefined
  }

  /** Commits what the caller records, if anything, with an address that its owner holds already. */
  async #confirm(pool: HeldPool, { key, version }: StoreEntry, call: IpamCallOptions): Promise<boolean> {
    return this.#commit(pool, [{ type: 'check', key, ifVersion: version }], call)
  }

  /** What has to go with an address: its key, and its owner's when that names it. */
  async #releaseOf(key: string, call: CallOptions): Promise<StoreOperation[]> {
    let entry: StoreEntry | undefined
    try {
      entry = await this.#findKey(key, call)
    } catch (error) {
      if (!isNetError(error, 'ERR_VALUE_DAMAGED')) throw error
      return [{ type: 'delete', key }] // whose it was cannot be read
    }
    if (entry === undefined) return []
    const operation = { type: 'delete', key, ifVersion: entry.version } as const
    const owner = this.#ownerOf(decodeText(key, entry.value))
    await owner?.read(call)
    return [operation, ...(owner?.remove(this.#known.format(decodeAddressKey(key))) ?? [])]
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
      if (conflict === this.#key) await this.#deps.refresh(pool, this, call)
      return false
    }
  }

  /** The pool is there, and is this one: a condition of all that is done in it. */
  get #check(): StoreOperation & { readonly type: 'check' } {
    return { type: 'check', key: this.#key, ifVersion: this.version }
  }

  /** Learns what is taken now. Whoever comes before it is read shares the reading. */
  #load({ signal }: CallOptions): Promise<void> {
    return unlessAborted(this.#loading.run(), signal)
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
    this.#isLoaded = true
  }

  /** Whoever has no name is nobody. */
  #ownerOf(owner: string | undefined): StoredOwner | undefined {
    if (owner === undefined || owner === '') return undefined
    return new StoredOwner(this.#deps.keys.owner(this.incarnation, owner), this.#deps.store)
  }

  /** What is under a key of ours; the caller's operations are not its business. */
  #findKey(key: string, { signal }: CallOptions): Promise<StoreEntry | undefined> {
    return this.#deps.store.find(key, { signal })
  }

  /** Key of an address of the pool. @throws AddressOutOfRangeError (`ERR_ADDRESS_OUT_OF_RANGE`) */
  #addressKey(address: string): string {
    return this.#keyOf(this.#known.numberOf(address))
  }

  #keyOf(value: bigint): string {
    return this.#deps.keys.address(this.incarnation, this.#cidr.address.family, value)
  }
}

/** For whom an address is claimed, and how. */
interface Claim {
  readonly owner: StoredOwner | undefined
  readonly request: AddressRequest
  readonly call: IpamCallOptions
}

/** What is no address in the place of one is nobody's. */
function tryDecodeAddressKey(key: string): bigint[] {
  try {
    return [decodeAddressKey(key)]
  } catch {
    return []
  }
}
