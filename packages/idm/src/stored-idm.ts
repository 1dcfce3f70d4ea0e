import type { Store, StoreOperation, StoreUnavailableError, VersionConflictError } from '@net/datastore'
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
  { signal }: CallOptions = {},
): Promise<StoredIdm> {
  signal?.throwIfAborted()
  if (!/^[\w.-]{1,200}$/.test(name)) throw new InvalidNameError(name)
  const known = new Idm({ first, last })
  await agreeOnRange(store, `${ROOT}/${name}/range`, { first, last }, { signal })
  const idm = new StoredIdm({ first, last }, `${ROOT}/${name}/id/`, known, store)
  await idm.free({ signal })
  return idm
}

/** All who share a set must mean the same ids. */
async function agreeOnRange(store: Store, key: string, { first, last }: IdRange, call: CallOptions): Promise<void> {
  const text = `${first}-${last}`
  try {
    await store.put(key, new TextEncoder().encode(text), { ifVersion: 0, signal: call.signal })
  } catch (error) {
    if (!isNetError(error, 'ERR_VERSION_CONFLICT')) throw error
    const found = new TextDecoder().decode((await store.get(key, call)).value)
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
  readonly #known: Idm
  /** The same ids, without those that are being taken just now. */
  #held = new Set<number>()
  /** The id behind the one chosen last. */
  #next = 0

  /** @internal Stored sets come from `openIdm`. */
  constructor(range: IdRange, prefix: string, known: Idm, store: Store) {
    this.#range = range
    this.#prefix = prefix
    this.#known = known
    this.#store = store
  }

  /** How many ids are free, as the store says now. Takes time in proportion to those that are held. */
  async free(call: CallOptions = {}): Promise<number> {
    const held = new Set<number>()
    for (let after: string | undefined, more = true; more;) {
      const page = await this.#store.list(this.#prefix, { signal: call.signal, after, limit: PAGE })
      const keys = [...page.entries.map(({ key }) => key), ...page.damaged].sort()
      for (const key of keys) {
        const id = Number.parseInt(key.slice(this.#prefix.length), 16)
        // What is no id in the place of one is nobody's.
        if (this.#contains(id) && this.#keyOf(id) === key) held.add(id)
      }
      after = keys.at(-1)
      more = page.more
    }
    this.#learn(held)
    return this.#known.free
  }

  /** Takes in what is held. The place from which `serial` goes on stays. */
  #learn(held: Set<number>): void {
    for (const id of this.#held) if (!held.has(id)) this.#known.release(id)
    for (const id of held) if (!this.#known.has(id)) this.#known.takeSpecific(id)
    this.#held = held
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
      if (await this.#claim(id, call, () => { this.#giveBack(id) })) return id // prettier-ignore
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
    if (this.#held.has(id) && !(await this.has(id, call))) this.#forget(id)
    this.#known.takeSpecific(id)
    const isTaken = await this.#claim(id, call, () => {
      this.#known.release(id)
    })
    if (!isTaken) throw new IdInUseError(id)
  }

  /** Lets an id go. One that is not held, or does not belong to the set, changes nothing. */
  async release(id: number, call: IdmCallOptions = {}): Promise<void> {
    call.signal?.throwIfAborted()
    const own: StoreOperation[] = this.#contains(id) ? [{ type: 'delete', key: this.#keyOf(id) }] : []
    const operations = [...own, ...(call.with ?? [])]
    if (operations.length > 0) await this.#store.transaction(operations, call)
    this.#forget(id)
  }

  #forget(id: number): void {
    this.#known.release(id)
    this.#held.delete(id)
  }

  /** An id that is likely to be free. Before it is refused, the store is asked for those that others let go. */
  async #choose(options: TakeOptions, call: IdmCallOptions): Promise<number> {
    try {
      return this.#takeKnown(options)
    } catch (error) {
      if (!isNetError(error, 'ERR_NO_ID_AVAILABLE')) throw error
    }
    await this.free(call)
    return this.#takeKnown(options)
  }

  #takeKnown(options: TakeOptions): number {
    const id = this.#known.take(options)
    this.#next = id + 1
    return id
  }

  /** Undoes a choice: who asks in a circle goes on at the id, unless he does before it. */
  #giveBack(id: number): void {
    this.#known.release(id)
    if (id >= this.#next) return
    this.#next = id
    // A set goes on behind the id taken last; behind its last one is where it comes round to the first.
    const before = id === this.#range.first ? this.#range.last : id - 1
    const wasHeld = this.#known.has(before)
    this.#known.release(before)
    this.#known.take({ within: { first: before, last: before } })
    if (!wasHeld) this.#known.release(before)
  }

  /** Writes the key of an id that was chosen, or undoes the choice. Says no when somebody else had written it. */
  async #claim(id: number, call: IdmCallOptions, undo: () => void): Promise<boolean> {
    const key = this.#keyOf(id)
    const put = { type: 'put', key, value: EMPTY, ifVersion: 0 } as const
    try {
      await this.#store.transaction([put, ...(call.with ?? [])], call)
      this.#held.add(id)
      return true
    } catch (error) {
      const isTaken = isTakenAt(error, key)
      // Of a write whose fate is unknown the id may be held: it is looked for before it is refused.
      if (isTaken || isUnknown(error, call)) this.#held.add(id)
      else undo()
      if (isTaken) return false
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

/** Whether somebody had written the key, though it may be damaged by now. */
function isTakenAt(error: unknown, key: string): boolean {
  if (!isNetError(error, 'ERR_VERSION_CONFLICT') && !isNetError(error, 'ERR_VALUE_DAMAGED')) return false
  return (error as NetError & Pick<VersionConflictError, 'key'>).key === key
}

/**
 * Whether a write may have taken place although it failed: its store says so, or it was given up, and may have been
 * under way.
 */
function isUnknown(error: unknown, { signal }: CallOptions): boolean {
  if (signal?.aborted === true && error === signal.reason) return true
  return isNetError(error) && (error as Partial<StoreUnavailableError>).outcome === 'unknown'
}
