import {
  checkKey,
  checkLimit,
  checkOperations,
  checkPrefix,
  checkTtl,
  checkVersion,
  KeyNotFoundError,
  type ListOptions,
  type PutOptions,
  type Store,
  StoreClosedError,
  type StoreChange,
  type StoreEntry,
  type StoreLease,
  type StoreListing,
  type StoreOperation,
  type WatchOptions,
  type WriteCondition,
} from '@net/datastore'
import { unlessAborted, type CallOptions, type Logger } from '@net/types'
import { type DamagedRecord, DamagedValues, openEntry } from './damage.ts'
import { readEntry, readRevision } from './entry.ts'
import type { Gateway } from './gateway.ts'
import { KeySpace } from './key-space.ts'
import { type EtcdLease, grantLease } from './lease.ts'
import { type NamedEntry, readRange } from './listing.ts'
import type { ResolvedOptions } from './options.ts'
import { decodeTransaction, type TransactionReply } from './replies.ts'
import { conflictIn, encodeTransaction, explainRefusal } from './transaction.ts'
import { Watch } from './watch.ts'
import { WatchReader } from './watch-reader.ts'

/** A {@link Store} in etcd. */
export interface EtcdStore extends Store {
  /** Damaged values that were met, kept as they were found: `etcdctl` removes them below `PREFIX/damaged/`. */
  listDamaged(call?: CallOptions): Promise<readonly DamagedRecord[]>
}

/** The store on top of a gateway, which it takes over. */
export class GatewayStore implements EtcdStore {
  readonly #gateway: Gateway
  readonly #keys: KeySpace
  readonly #values: DamagedValues
  readonly #logger: Logger
  readonly #leases = new Set<EtcdLease>()
  readonly #writes = new Set<Promise<unknown>>()
  #closed: Promise<void> | undefined

  constructor(gateway: Gateway, { prefix, logger }: ResolvedOptions) {
    this.#gateway = gateway
    this.#keys = new KeySpace(`${prefix}data/`)
    this.#values = new DamagedValues(gateway, prefix, logger)
    this.#logger = logger
  }

  async get(key: string, call?: CallOptions): Promise<StoreEntry> {
    const entry = await this.find(key, call)
    if (entry === undefined) throw new KeyNotFoundError(key)
    return entry
  }

  async find(key: string, call?: CallOptions): Promise<StoreEntry | undefined> {
    this.#begin(call)
    checkKey(key)
    const entry = await readEntry(this.#gateway, this.#keys, key, call?.signal)
    if (entry === undefined) return undefined
    const value = await this.#values.open(key, entry)
    if (!(value instanceof Uint8Array)) throw value
    return { key, value, version: entry.version }
  }

  async list(prefix: string, options: ListOptions = {}): Promise<StoreListing> {
    this.#begin(options)
    const { after, limit, signal } = options
    checkPrefix(prefix)
    if (after !== undefined) checkPrefix(after)
    checkLimit(limit)
    const isWhole = (entry: NamedEntry): boolean => openEntry(entry.name, entry) instanceof Uint8Array
    const counts = limit === undefined ? undefined : isWhole
    const range = await readRange(this.#gateway, this.#keys, { prefix, after, limit, counts, signal })
    const entries: StoreEntry[] = []
    const damaged: string[] = []
    for (const entry of range.entries) {
      const value = await this.#values.open(entry.name, entry)
      if (value instanceof Uint8Array) entries.push({ key: entry.name, value, version: entry.version })
      else damaged.push(entry.name)
    }
    return { entries, damaged, revision: range.revision, more: range.more }
  }

  put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<number> {
    const { ifVersion, lease } = options
    return this.transaction([{ type: 'put', key, value, ifVersion, lease }], options)
  }

  async delete(key: string, options: WriteCondition & CallOptions = {}): Promise<boolean> {
    const { steps } = await this.#carryOut([{ type: 'delete', key, ifVersion: options.ifVersion }], options)
    return steps.some(({ deleted }) => deleted > 0)
  }

  async transaction(operations: readonly StoreOperation[], call?: CallOptions): Promise<number> {
    const { revision } = await this.#carryOut(operations, call)
    return revision
  }

  watch(prefix: string, options: WatchOptions = {}): AsyncIterable<StoreChange> {
    this.#begin()
    checkPrefix(prefix)
    checkVersion('from', options.from)
    const from = options.from === undefined ? this.#now(options.signal) : Promise.resolve(options.from)
    const deps = { gateway: this.#gateway, keys: this.#keys, values: this.#values, logger: this.#logger }
    const begin = async function* (signal: AbortSignal): AsyncGenerator<StoreChange> {
      yield* new Watch(prefix, await unlessAborted(from, signal), deps).changes(signal)
    }
    return new WatchReader(begin, { signal: options.signal, closing: this.#gateway.closing })
  }

  async lease(ttlMs: number, call?: CallOptions): Promise<StoreLease> {
    this.#begin(call)
    checkTtl(ttlMs)
    const ended = (lease: EtcdLease): void => {
      this.#leases.delete(lease)
    }
    const granting = grantLease(ttlMs, { gateway: this.#gateway, logger: this.#logger, ended }, call?.signal)
    // Added before anybody who waits for it goes on: closing releases it too.
    return this.#awaited(
      granting.then((lease) => {
        this.#leases.add(lease)
        return lease
      }),
    )
  }

  async listDamaged(call?: CallOptions): Promise<readonly DamagedRecord[]> {
    this.#begin(call)
    return this.#values.list(call?.signal)
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#end())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #begin(call?: CallOptions): void {
    call?.signal?.throwIfAborted()
    if (this.#closed !== undefined) throw new StoreClosedError()
  }

  async #carryOut(operations: readonly StoreOperation[], call: CallOptions | undefined): Promise<TransactionReply> {
    this.#begin(call)
    checkOperations(operations)
    // Here and now: the caller may change the values afterwards.
    const body = encodeTransaction(operations, this.#keys)
    const steps = { success: body.success.length, failure: body.failure.length }
    const { signal } = call ?? {}
    const decode = (reply: unknown): TransactionReply => decodeTransaction(reply, steps)
    const write = this.#gateway.write({ path: 'kv/txn', body, decode, signal })
    const reply = await this.#awaited(write).catch((error: unknown) => {
      throw explainRefusal(error, operations)
    })
    if (!reply.succeeded) throw conflictIn(operations, reply)
    return reply
  }

  /** A revision behind everything that was written before, and ahead of what this process writes from now on. */
  #now(signal: AbortSignal | undefined): Promise<number> {
    const now = readRevision(this.#gateway, this.#keys, signal)
    // The reader of the watch learns of a failure; a watch that nobody reads has none to tell.
    this.#gateway.watchStarts.add(now)
    return now
  }

  /** Has `close` wait for a write. */
  async #awaited<T>(write: Promise<T>): Promise<T> {
    this.#writes.add(write)
    try {
      return await write
    } finally {
      this.#writes.delete(write)
    }
  }

  async #end(): Promise<void> {
    this.#gateway.stop()
    await Promise.allSettled(this.#writes)
    const leases = [...this.#leases]
    const results = await Promise.allSettled(leases.map((lease) => lease.release()))
    for (const [index, result] of results.entries()) {
      // It ends by itself a little later.
      if (result.status === 'rejected')
        this.#logger.warn({ lease: leases[index]?.id, err: result.reason as unknown }, 'lease could not be released')
    }
    this.#gateway.close()
  }
}
