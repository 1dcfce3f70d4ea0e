import type { CallOptions } from '@net/types'
import { ChangeHistory } from './change-history.ts'
import { checkKey, checkLimit, checkOperations, checkPrefix, checkTtl, checkVersion } from './checks.ts'
import {
  InvalidStoreOptionError,
  KeyNotFoundError,
  NoSuchLeaseError,
  StoreClosedError,
  VersionConflictError,
} from './errors.ts'
import { compareKeys } from './key-order.ts'
import { MemoryLease } from './memory-lease.ts'
import type {
  ListOptions,
  PutOptions,
  Store,
  StoreChange,
  StoreEntry,
  StoreEvent,
  StoreLease,
  StoreListing,
  StoreOperation,
  WatchOptions,
  WriteCondition,
} from './store.ts'

/** How a store in memory behaves. */
export interface MemoryStoreOptions {
  /** How many changes a watch can go back, or lag behind. @defaultValue 10 000 */
  readonly history?: number | undefined
}

/** A store that lives as long as the object: for tests, and for what need not outlast the process. */
export function memoryStore({ history = 10_000 }: MemoryStoreOptions = {}): Store {
  if (!Number.isSafeInteger(history) || history < 1)
    throw new InvalidStoreOptionError('history', history, 'a whole number, 1 or more')
  return new MemoryStore(history)
}

interface MemoryEntry extends StoreEntry {
  readonly lease: string | undefined
}

/* eslint-disable @typescript-eslint/require-await -- the contract is asynchronous, memory is not */
class MemoryStore implements Store {
  readonly #entries = new Map<string, MemoryEntry>()
  readonly #leases = new Map<string, MemoryLease>()
  readonly #history: ChangeHistory
  #revision = 0
  #isClosed = false

  constructor(history: number) {
    this.#history = new ChangeHistory(history)
  }

  async get(key: string, call?: CallOptions): Promise<StoreEntry> {
    const entry = await this.find(key, call)
    if (entry === undefined) throw new KeyNotFoundError(key)
    return entry
  }

  async find(key: string, call?: CallOptions): Promise<StoreEntry | undefined> {
    this.#begin(call)
    checkKey(key)
    const entry = this.#entries.get(key)
    return entry === undefined ? undefined : entryCopy(entry)
  }

  async list(prefix: string, options: ListOptions = {}): Promise<StoreListing> {
    this.#begin(options)
    const { after = '', limit = Infinity } = options
    checkPrefix(prefix)
    checkPrefix(after)
    checkLimit(options.limit)
    const found = [...this.#entries.values()]
      .filter(({ key }) => key.startsWith(prefix) && compareKeys(key, after) > 0)
      .sort((one, other) => compareKeys(one.key, other.key))
    const entries = found.slice(0, limit).map(entryCopy)
    return { entries, damaged: [], revision: this.#revision, more: found.length > entries.length }
  }

  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<number> {
    const { ifVersion, lease } = options
    return this.transaction([{ type: 'put', key, value, ifVersion, lease }], options)
  }

  async delete(key: string, options: WriteCondition & CallOptions = {}): Promise<boolean> {
    this.#begin(options)
    const isThere = this.#entries.has(key)
    await this.transaction([{ type: 'delete', key, ifVersion: options.ifVersion }], options)
    return isThere
  }

  async transaction(operations: readonly StoreOperation[], call?: CallOptions): Promise<number> {
    this.#begin(call)
    checkOperations(operations)
    for (const operation of operations) this.#checkCondition(operation)
    this.#carryOut(operations)
    return this.#revision
  }

  watch(prefix: string, options: WatchOptions = {}): AsyncIterable<StoreChange> {
    this.#begin()
    checkPrefix(prefix)
    checkVersion('from', options.from)
    return this.#changes(prefix, options.from ?? this.#revision, options.signal)
  }

  async lease(ttlMs: number, call?: CallOptions): Promise<StoreLease> {
    this.#begin(call)
    checkTtl(ttlMs)
    const lease = new MemoryLease(ttlMs, ({ id }) => {
      this.#endLease(id)
    })
    this.#leases.set(lease.id, lease)
    return lease
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    for (const lease of [...this.#leases.values()]) void lease.release()
    this.#isClosed = true
    this.#history.wake()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #begin(call?: CallOptions): void {
    call?.signal?.throwIfAborted()
    if (this.#isClosed) throw new StoreClosedError()
    for (const lease of [...this.#leases.values()]) lease.endIfExpired()
  }

  #checkCondition(operation: StoreOperation): void {
    const { type, key, ifVersion } = operation
    const actual = this.#entries.get(key)?.version ?? 0
    if (ifVersion !== undefined && ifVersion !== actual) throw new VersionConflictError(key, ifVersion, actual)
    if (type === 'put' && operation.lease !== undefined && !this.#leases.has(operation.lease))
      throw new NoSuchLeaseError(operation.lease)
  }

  #carryOut(operations: readonly StoreOperation[]): void {
    const revision = this.#revision + 1
    const events = operations.flatMap((operation): StoreEvent[] => {
      const { type, key } = operation
      switch (type) {
        case 'check':
          return []
        case 'delete':
          return this.#entries.delete(key) ? [{ type, key }] : []
        case 'put': {
          const value = new Uint8Array(operation.value)
          this.#entries.set(key, { key, value, version: revision, lease: operation.lease })
          return [{ type, key, value, version: revision }]
        }
      }
    })
    if (events.length === 0) return
    this.#revision = revision
    this.#history.add({ revision, events })
  }

  #endLease(id: string): void {
    this.#leases.delete(id)
    const bound = [...this.#entries.values()].filter(({ lease }) => lease === id)
    this.#carryOut(bound.map(({ key }) => ({ type: 'delete', key })))
  }

  async *#changes(prefix: string, from: number, signal: AbortSignal | undefined): AsyncGenerator<StoreChange> {
    let last = from
    while (signal?.aborted !== true) {
      if (this.#isClosed) throw new StoreClosedError()
      const change = this.#history.next(last)
      if (change === undefined) {
        await this.#history.wait(signal)
        continue
      }
      last = change.revision
      const events = change.events.filter(({ key }) => key.startsWith(prefix))
      if (events.length > 0) yield { revision: change.revision, events: events.map(eventCopy) }
    }
  }
}
/* eslint-enable @typescript-eslint/require-await */

/** What is handed out is the caller's own: changing it changes nothing here. */
function entryCopy({ key, value, version }: MemoryEntry): StoreEntry {
  return { key, value: value.slice(), version }
}

function eventCopy(event: StoreEvent): StoreEvent {
  return event.type === 'put' ? { ...event, value: event.value.slice() } : event
}
