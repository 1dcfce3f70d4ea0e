import { isNetError, silentLogger, type CallOptions, type Logger } from '@net/types'
import { InvalidRecordError, KeyNotFoundError, RecordRefusedError, ValueDamagedError } from './errors.ts'
import { decodeRecord, encodeRecord, type RecordForm } from './record-form.ts'
import type { ListOptions, PutOptions, Store, StoreEntry, StoreOperation, WriteCondition } from './store.ts'

/** What a collection holds, and in which form. */
export interface CollectionOptions<T> extends RecordForm<T> {
  /** What the keys of its records begin with, such as `networks/`. */
  readonly prefix: string
  /** @defaultValue says nothing */
  readonly logger?: Logger | undefined
}

/** A record as it was at one moment. */
export interface CollectionEntry<T> {
  /** Its key without the collection's prefix. */
  readonly id: string
  readonly value: T
  /** The version of the store's entry: for `ifVersion`. */
  readonly version: number
}

/** Records in order of their ids' bytes, all as they were at one moment. */
export interface CollectionListing<T> {
  readonly entries: readonly CollectionEntry<T>[]
  /** Records that cannot be read, and why. They are all still there. */
  readonly refused: readonly { readonly id: string; readonly error: Error }[]
  readonly revision: number
  readonly more: boolean
}

/** Where copies of refused records lie. */
const ASIDE = 'set-aside/'

/**
 * Typed records in a store, as JSON that says in which version of their form they are written. Records of older
 * versions are migrated when they are read; those of newer versions are refused, so that an older program does not
 * destroy what it does not understand.
 */
export class Collection<T> {
  readonly #store: Store
  readonly #form: RecordForm<T>
  readonly #prefix: string
  readonly #logger: Logger

  /** @param store - borrowed: whoever opened it closes it */
  constructor(store: Store, { prefix, logger = silentLogger, ...form }: CollectionOptions<T>) {
    this.#store = store
    this.#form = form
    this.#prefix = prefix
    this.#logger = logger
  }

  /** @throws `ERR_KEY_NOT_FOUND`, and what {@link Collection.find} throws */
  async get(id: string, call?: CallOptions): Promise<CollectionEntry<T>> {
    const entry = await this.find(id, call)
    if (entry === undefined) throw new KeyNotFoundError(this.#prefix + id)
    return entry
  }

  /**
   * The record, or `undefined` where there is none.
   *
   * @throws `ERR_RECORD_REFUSED` for one that the schema does not take, `ERR_STORE_VERSION` for one of a newer version
   */
  async find(id: string, call?: CallOptions): Promise<CollectionEntry<T> | undefined> {
    const entry = await this.#store.find(this.#prefix + id, call)
    return entry === undefined ? undefined : this.#read(entry, call)
  }

  /** All records, those that cannot be read apart from the others: one of them hides none. */
  async list(options?: ListOptions): Promise<CollectionListing<T>> {
    const after = options?.after === undefined ? undefined : this.#prefix + options.after
    const listing = await this.#store.list(this.#prefix, { ...options, after })
    const entries: CollectionEntry<T>[] = []
    const refused: { id: string; error: Error }[] = listing.damaged.map((key) => ({
      id: key.slice(this.#prefix.length),
      error: new ValueDamagedError(key, 'the store found its checksum wrong'),
    }))
    for (const entry of listing.entries) {
      try {
        entries.push(await this.#read(entry, options))
      } catch (error) {
        if (!isNetError(error, 'ERR_RECORD_REFUSED') && !isNetError(error, 'ERR_STORE_VERSION')) throw error
        refused.push({ id: entry.key.slice(this.#prefix.length), error })
      }
    }
    return { entries, refused, revision: listing.revision, more: listing.more }
  }

  /** @returns the record's new version  @throws `ERR_INVALID_RECORD`, and what the store throws */
  async put(id: string, value: T, options?: PutOptions): Promise<number> {
    return this.#store.put(this.#prefix + id, this.#encode(id, value), options)
  }

  /** @returns whether there was something to delete */
  delete(id: string, options?: WriteCondition & CallOptions): Promise<boolean> {
    return this.#store.delete(this.#prefix + id, options)
  }

  /** A step of a transaction that does what {@link Collection.put} does. @throws `ERR_INVALID_RECORD` */
  putOperation(id: string, value: T, condition: Pick<PutOptions, 'ifVersion' | 'lease'> = {}): StoreOperation {
    const { ifVersion, lease } = condition
    return { type: 'put', key: this.#prefix + id, value: this.#encode(id, value), ifVersion, lease }
  }

  /** A step of a transaction that does what {@link Collection.delete} does. */
  deleteOperation(id: string, { ifVersion }: WriteCondition = {}): StoreOperation {
    return { type: 'delete', key: this.#prefix + id, ifVersion }
  }

  /** A step of a transaction that writes nothing and fails unless the record has this version. */
  checkOperation(id: string, version: number): StoreOperation {
    return { type: 'check', key: this.#prefix + id, ifVersion: version }
  }

  #encode(id: string, value: T): Uint8Array {
    try {
      return encodeRecord(value, this.#form)
    } catch (error) {
      throw new InvalidRecordError(this.#prefix + id, error)
    }
  }

  async #read({ key, value, version }: StoreEntry, call?: CallOptions): Promise<CollectionEntry<T>> {
    try {
      return { id: key.slice(this.#prefix.length), value: decodeRecord(key, value, this.#form), version }
    } catch (error) {
      if (isNetError(error, 'ERR_STORE_VERSION')) throw error
      await this.#setAside({ key, value, version }, error, call)
      throw new RecordRefusedError(key, error)
    }
  }

  /** Keeps a copy, once for each version: the record itself may be overwritten by whoever wants to go on. */
  async #setAside({ key, value, version }: StoreEntry, why: unknown, call?: CallOptions): Promise<void> {
    const copy = `${ASIDE}${version}/${key}`
    try {
      await this.#store.put(copy, value, { ifVersion: 0, signal: call?.signal })
      this.#logger.warn({ key, copy, err: why }, 'a record that its schema refuses was set aside')
    } catch (error) {
      call?.signal?.throwIfAborted()
      if (isNetError(error, 'ERR_VERSION_CONFLICT')) return // Set aside already.
      // A store that takes no writes, or not so long a key: the record lies where it lay, and hides no other.
      this.#logger.warn({ key, copy, err: error }, 'a record that its schema refuses could not be set aside')
    }
  }
}
