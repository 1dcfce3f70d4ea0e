import type { Store, StoreOperation, VersionConflictError } from '@net/datastore'
import { isNetError, type CallOptions, type NetError } from '@net/types'
import { IdInUseError, InvalidNameError, InvalidRangeError } from './errors.ts'
import { Idm, type IdRange, type TakeOptions } from './idm.ts'

/** Which set of ids to open. */
export interface OpenIdmOptions extends IdRange {
  /** Whoever opens this name over the same store shares the ids. 1 to 200 letters, digits, dots, dashes and underscores. */
  readonly name: string
}

/** How a call that changes the set is made. */
export interface IdmCallOptions extends CallOptions {
  /** What the caller records in the same store: with the id in one transaction, or neither. */
  readonly with?: readonly StoreOperation[] | undefined
}

/** Version of the keys below. Another one lives beside it. */
const ROOT = 'idm/v1'
const PAGE = 1000
const EMPTY = new Uint8Array()

/**
 * Opens a set of ids that is kept in a store, or begins one.
 *
 * @throws InvalidRangeError (`ERR_INVALID_RANGE`) also when the set is there with another range
 * @throws InvalidNameError (`ERR_INVALID_NAME`)
 */
export async function openIdm(
  { name, first, last }: OpenIdmOptions,
  { store }: { readonly store: Store },
): Promise<StoredIdm> {
  if (!/^[\w.-]{1,200}$/.test(name)) throw new InvalidNameError(name)
  const known = new Idm({ first, last })
  await agreeOnRange(store, `${ROOT}/${name}/range`, { first, last })
  const idm = new StoredIdm({ first, last }, `${ROOT}/${name}/id/`, known, store)
  await idm.free()
  return idm
}

/** All who share a set must mean the same ids. */
async function agreeOnRange(store: Store, key: string, { first, last }: IdRange): Promise<void> {
  const text = `${first}-${last}`
  try {
    await store.put(key, new TextEncoder().encode(text), { ifVersion: 0 })
  } catch (error) {
    if (!isNetError(error, 'ERR_VERSION_CONFLICT')) throw error
    const found = new TextDecoder().decode((await store.get(key)).value)
    if (found !== text) throw new InvalidRangeError(first, last, `${found}, as the set was begun`)
  }
}

/**
 * Numbers out of a range, each held by one holder at a time, whichever process or host it is in: each id that is held
 * has a key, and who writes it first has the id. As {@link Idm}, but every member is asynchronous.
 */
export class StoredIdm {
  readonly #range: IdRange
  readonly #prefix: string
  readonly #store: Store
  /** What is likely to be held: it may be old. A key tells. */
  #known: Idm

  /** @internal Stored sets come from `openIdm`. */
  constructor(range: IdRange, prefix: string, known: Idm, store: Store) {
    this.#range = range
    this.#prefix = prefix
    this.#known = known
    this.#store = store
  }

  /** How many ids are free, as the store says now. Takes time in proportion to those that are held. */
  async free(call: CallOptions = {}): Promise<number> {
    const known = new Idm(this.#range)
    for (let after: string | undefined, more = true; more;) {
      const page = await this.#store.list(this.#prefix, { ...call, after, limit: PAGE })
      const keys = [...page.entries.map(({ key }) => key), ...page.damaged].sort()
      for (const key of keys) hold(known, Number.parseInt(key.slice(this.#prefix.length), 16))
      after = keys.at(-1)
      more = page.more
    }
    this.#known = known
    return known.free
  }

  /** Whether an id is held. One that does not belong to the set is not. */
  async has(id: number, call?: CallOptions): Promise<boolean> {
    return this.#contains(id) && (await this.#store.find(this.#keyOf(id), call)) !== undefined
  }

  /**
   * Takes a free id: the lowest that this object knows of, or with `serial` the next one after the id it took last.
   *
   * @throws NoIdAvailableError (`ERR_NO_ID_AVAILABLE`)
   * @throws InvalidRangeError (`ERR_INVALID_RANGE`) when `within` is no part of the set
   */
  async take(options: TakeOptions = {}, call: IdmCallOptions = {}): Promise<number> {
    for (;;) {
      call.signal?.throwIfAborted()
      const id = await this.#choose(options, call)
      if (await this.#claim(id, call)) return id
    }
  }

  /**
   * Takes this very id.
   *
   * @throws IdInUseError (`ERR_ID_IN_USE`)
   * @throws IdOutOfRangeError (`ERR_ID_OUT_OF_RANGE`)
   */
  async takeSpecific(id: number, call: IdmCallOptions = {}): Promise<void> {
    call.signal?.throwIfAborted()
    if (this.#known.has(id) && !(await this.has(id, call))) this.#known.release(id)
    this.#known.takeSpecific(id)
    if (!(await this.#claim(id, call))) throw new IdInUseError(id)
  }

  /** Lets an id go. One that is not held, or does not belong to the set, changes nothing. */
  async release(id: number, call: IdmCallOptions = {}): Promise<void> {
    call.signal?.throwIfAborted()
    const own: StoreOperation[] = this.#contains(id) ? [{ type: 'delete', key: this.#keyOf(id) }] : []
    const operations = [...own, ...(call.with ?? [])]
    if (operations.length > 0) await this.#store.transaction(operations, call)
    this.#known.release(id)
  }

  /** An id that is likely to be free. Before it is refused, the store is asked for those that others let go. */
  async #choose(options: TakeOptions, call: IdmCallOptions): Promise<number> {
    try {
      return this.#known.take(options)
    } catch (error) {
      if (!isNetError(error, 'ERR_NO_ID_AVAILABLE')) throw error
    }
    await this.free(call)
    return this.#known.take(options)
  }

  /** Writes the key of an id that was chosen. Says no when somebody else had done so. */
  async #claim(id: number, call: IdmCallOptions): Promise<boolean> {
    const key = this.#keyOf(id)
    const put = { type: 'put', key, value: EMPTY, ifVersion: 0 } as const
    try {
      await this.#store.transaction([put, ...(call.with ?? [])], call)
      return true
    } catch (error) {
      if (isConflictAt(error, key)) return false
      // Of a write whose fate is unknown the id may be held: it is looked for before it is refused.
      if (!isNetError(error, 'ERR_STORE_UNAVAILABLE')) this.#known.release(id)
      throw error
    }
  }

  #contains(id: number): boolean {
    return Number.isSafeInteger(id) && id >= this.#range.first && id <= this.#range.last
  }

  /** In the order of the numbers. */
  #keyOf(id: number): string {
    return this.#prefix + id.toString(16).padStart(14, '0')
  }
}

/** Keys of ids that are none of the set, and those that are none at all, mean nothing here. */
function hold(known: Idm, id: number): void {
  try {
    known.takeSpecific(id)
  } catch (error) {
    if (!isNetError(error, 'ERR_ID_OUT_OF_RANGE')) throw error
  }
}

function isConflictAt(error: unknown, key: string): boolean {
  return (
    isNetError(error, 'ERR_VERSION_CONFLICT') && (error as NetError & Pick<VersionConflictError, 'key'>).key === key
  )
}
