import {
  checkKey,
  checkLimit,
  checkOperations,
  checkPrefix,
  checkTtl,
  checkVersion,
  HistoryLostError,
  KeyNotFoundError,
  StoreClosedError,
  StoreReadOnlyError,
  type ListOptions,
  type PutOptions,
  type Store,
  type StoreChange,
  type StoreEntry,
  type StoreLease,
  type StoreListing,
  type StoreOperation,
  type WatchOptions,
  type WriteCondition,
} from '@net/datastore'
import { isNetError, randomBytes, Turns, type CallOptions, type Logger } from '@net/types'
import { EntryReader } from './entry-reader.ts'
import { storeFolder } from './folder.ts'
import { GroupCommit, type Plan } from './group-commit.ts'
import { LmdbLease } from './lmdb-lease.ts'
import type { OpenFolder } from './open-folder.ts'
import { planLease, planLeaseEnd, planRenewal, planTransaction, type TransactionResult } from './plan-transaction.ts'
import type { ResolvedOptions } from './options.ts'
import { asideKey, keyOfAside, type DamagedRecord } from './set-aside.ts'
import { writeSnapshot } from './snapshot.ts'
import type { WakeUp } from './wake-up.ts'

/** A store in a folder. */
export interface LmdbStore extends Store {
  /** Every record that was found damaged, as it was found: also those that have been replaced since. */
  listDamaged(call?: CallOptions): Promise<DamagedRecord[]>
  /** Writes the snapshot that the store can be restored from, as it is done at intervals and when the store is closed. */
  snapshot(): Promise<void>
}

/** How often leases are looked at that nobody renews any more. */
const SWEEP_MS = 400

/** The store, over a folder that is open. */
export class OpenLmdbStore implements LmdbStore {
  readonly #folder: OpenFolder
  readonly #options: ResolvedOptions
  readonly #logger: Logger
  readonly #turns = new Turns()
  readonly #reader: EntryReader
  readonly #commits: GroupCommit
  readonly #wakeUp: WakeUp
  readonly #leases = new Map<string, LmdbLease>()
  /** Leases that are being asked for: closing ends them too. */
  readonly #granting = new Set<Promise<unknown>>()
  readonly #timers: readonly NodeJS.Timeout[]
  readonly #reads = new Set<Promise<unknown>>()
  #snapshotRevision: number
  #snapshotting: Promise<void> | undefined
  #sweeping: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /** Takes over `folder` and `wakeUp`. */
  constructor(folder: OpenFolder, wakeUp: WakeUp, options: ResolvedOptions) {
    this.#folder = folder
    this.#wakeUp = wakeUp
    this.#options = options
    this.#logger = options.logger
    this.#reader = new EntryReader(folder.tables, this.#turns)
    const limits = { changes: options.history, bytes: options.historyBytes }
    this.#commits = new GroupCommit(folder.tables, storeFolder(options.path), limits, () => {
      wakeUp.announce()
    })
    this.#snapshotRevision = folder.hasSnapshot ? this.#reader.state().revision : -1
    this.#timers = options.readOnly ? [] : this.#startTimers()
  }

  async get(key: string, call?: CallOptions): Promise<StoreEntry> {
    const entry = await this.find(key, call)
    if (entry === undefined) throw new KeyNotFoundError(key)
    return entry
  }

  async find(key: string, call?: CallOptions): Promise<StoreEntry | undefined> {
    this.#begin(call)
    checkKey(key)
    try {
      return this.#reader.entry(key)
    } catch (error) {
      const record = this.#reader.record(key)
      if (isNetError(error, 'ERR_VALUE_DAMAGED') && record !== undefined) await this.#setAside([{ key, bytes: record }])
      throw error
    }
  }

  async list(prefix: string, options: ListOptions = {}): Promise<StoreListing> {
    this.#begin(options)
    checkPrefix(prefix)
    checkPrefix(options.after ?? '')
    checkLimit(options.limit)
    const reading = this.#reader.list(prefix, options)
    const { listing, damaged } = await this.#whileOpen(reading)
    await this.#setAside(damaged)
    return listing
  }

  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<number> {
    const { ifVersion, lease } = options
    return (await this.#write([{ type: 'put', key, value, ifVersion, lease }], options)).revision
  }

  async delete(key: string, options: WriteCondition & CallOptions = {}): Promise<boolean> {
    return (await this.#write([{ type: 'delete', key, ifVersion: options.ifVersion }], options)).deleted > 0
  }

  async transaction(operations: readonly StoreOperation[], call?: CallOptions): Promise<number> {
    return (await this.#write(operations, call)).revision
  }

  watch(prefix: string, options: WatchOptions = {}): AsyncIterable<StoreChange> {
    this.#begin()
    checkPrefix(prefix)
    checkVersion('from', options.from)
    return this.#changes(prefix, options.from ?? this.#reader.state().revision, options.signal)
  }

  async lease(ttlMs: number, call?: CallOptions): Promise<StoreLease> {
    this.#begin(call)
    checkTtl(ttlMs)
    const granting = this.#grant(ttlMs, call)
    this.#granting.add(granting)
    try {
      return await granting
    } finally {
      this.#granting.delete(granting)
    }
  }

  async #grant(ttlMs: number, call?: CallOptions): Promise<StoreLease> {
    const id = Buffer.from(randomBytes(16)).toString('hex')
    await this.#run((draft) => {
      planLease(draft, id, { ttlMs, expiresAt: Date.now() + ttlMs })
    }, call)
    const lease = new LmdbLease(id, ttlMs, {
      renew: () => this.#commits.run((draft) => planRenewal(draft, id, ttlMs, Date.now())),
      end: () => this.#endLease(id),
    })
    this.#leases.set(id, lease)
    return lease
  }

  async listDamaged(call?: CallOptions): Promise<DamagedRecord[]> {
    this.#begin(call)
    const { root, aside } = this.#folder.tables
    root.resetReadTxn()
    const records: DamagedRecord[] = []
    for (const { key, value } of aside.getRange()) records.push({ key: keyOfAside(key), bytes: Uint8Array.from(value) })
    return Promise.resolve(records)
  }

  async snapshot(): Promise<void> {
    this.#begin()
    if (this.#options.readOnly) throw new StoreReadOnlyError(this.#options.path)
    await this.#snapshot()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #begin(call?: CallOptions): void {
    call?.signal?.throwIfAborted()
    if (this.#closing !== undefined) throw new StoreClosedError()
  }

  async #write(operations: readonly StoreOperation[], call?: CallOptions): Promise<TransactionResult> {
    this.#begin(call)
    checkOperations(operations)
    // A copy: what the caller does to his bytes while they wait is his affair.
    const own = operations.map((operation) =>
      operation.type === 'put' ? { ...operation, value: new Uint8Array(operation.value) } : operation,
    )
    return this.#run((draft) => planTransaction(draft, own, Date.now()), call)
  }

  #run<T>(plan: Plan<T>, call?: CallOptions): Promise<T> {
    if (this.#options.readOnly) throw new StoreReadOnlyError(this.#options.path)
    return this.#commits.run(plan, call)
  }

  /** Closing waits for what reads from the file, and whoever reads learns of the closing. */
  async #whileOpen<T>(reading: Promise<T>): Promise<T> {
    const ended = reading.catch(() => undefined)
    this.#reads.add(ended)
    try {
      return await reading
    } finally {
      this.#reads.delete(ended)
    }
  }

  async *#changes(prefix: string, from: number, signal: AbortSignal | undefined): AsyncGenerator<StoreChange> {
    let last = from
    while (signal?.aborted !== true) {
      this.#begin()
      const state = this.#reader.state()
      const { revision, oldest } = state
      if (last < oldest) throw new HistoryLostError(last, oldest)
      if (last >= revision) {
        await this.#wakeUp.wait(signal)
        continue
      }
      const events = this.#reader.change(state, last + 1)
      if (events === undefined) throw new HistoryLostError(last, last + 1)
      last += 1
      const matching = events.filter(({ key }) => key.startsWith(prefix))
      if (matching.length > 0) yield { revision: last, events: matching }
      else await this.#turns.take()
    }
  }

  /** That it cannot be done must not hide the damage itself, nor what is sound. */
  async #setAside(records: readonly DamagedRecord[]): Promise<void> {
    const { aside } = this.#folder.tables
    const fresh = records.filter(({ key, bytes }) => aside.get(asideKey(key, bytes)) === undefined)
    const { path, readOnly } = this.#options
    for (const { key } of fresh) this.#logger.error({ key, path }, 'a stored value is damaged')
    if (fresh.length === 0 || readOnly) return
    try {
      await this.#commits.run((draft) => {
        for (const record of fresh) draft.setAside(record)
      })
    } catch (error) {
      this.#logger.error({ path, err: error }, 'damaged values could not be set aside')
    }
  }

  /** Ends a lease that is released or overdue. What is bound to it may be more than one commit takes. */
  async #endLease(id: string): Promise<void> {
    while (!(await this.#commits.run((draft) => planLeaseEnd(draft, id))));
    this.#leases.delete(id)
  }

  #startTimers(): NodeJS.Timeout[] {
    const sweep = setInterval(() => {
      this.#sweeping ??= this.#sweep().finally(() => {
        this.#sweeping = undefined
      })
    }, SWEEP_MS)
    const snapshot = setInterval(() => {
      this.#snapshot().catch((error: unknown) => {
        this.#logger.warn({ err: error, path: this.#options.path }, 'could not write the snapshot')
      })
    }, this.#options.snapshotIntervalMs)
    return [sweep.unref(), snapshot.unref()]
  }

  async #sweep(): Promise<void> {
    try {
      for (const id of this.#reader.overdueLeases(Date.now())) await this.#endLease(id)
    } catch (error) {
      this.#logger.warn({ err: error, path: this.#options.path }, 'could not end the leases that are overdue')
    }
  }

  #snapshot(): Promise<void> {
    this.#snapshotting ??= this.#snapshotIfChanged().finally(() => {
      this.#snapshotting = undefined
    })
    return this.#snapshotting
  }

  async #snapshotIfChanged(): Promise<void> {
    const { revision } = this.#reader.state()
    if (revision === this.#snapshotRevision) return
    await writeSnapshot(storeFolder(this.#options.path), this.#folder.tables, this.#turns)
    this.#snapshotRevision = revision
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await Promise.allSettled(this.#granting)
    const released = await Promise.allSettled([...this.#leases.values()].map((lease) => lease.release()))
    await this.#sweeping
    await this.#commits.close()
    await this.#wakeUp.close()
    await Promise.all(this.#reads)
    if (!this.#options.readOnly) await this.#lastSnapshot()
    await this.#folder.close()
    const failures = released.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []))
    if (failures.length > 0) this.#logger.warn({ failures, path: this.#options.path }, 'leases end when they expire')
  }

  async #lastSnapshot(): Promise<void> {
    try {
      await this.#snapshot()
    } catch (error) {
      this.#logger.warn({ err: error, path: this.#options.path }, 'could not write the snapshot')
    }
  }
}
