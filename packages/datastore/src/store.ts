import type { CallOptions } from '@net/types'

/** Limits that every store checks before it does anything, so that what works with one works with all. */
export const LIMITS = {
  /** Of a key, in bytes of UTF-8. */
  keyBytes: 500,
  valueBytes: 512 * 1024,
  /** Operations of one transaction. */
  operations: 100,
  /** Values of one transaction, together. */
  transactionBytes: 1024 * 1024,
} as const

/** A key's value as it was at one moment. */
export interface StoreEntry {
  readonly key: string
  readonly value: Uint8Array
  /** Revision of the transaction that wrote the value. */
  readonly version: number
}

/** One step of a transaction: plain data, so that it can be handed to whoever carries it out. */
export type StoreOperation =
  | {
      readonly type: 'put'
      readonly key: string
      readonly value: Uint8Array
      readonly ifVersion?: number | undefined
      readonly lease?: string | undefined
    }
  | { readonly type: 'delete'; readonly key: string; readonly ifVersion?: number | undefined }
  | { readonly type: 'check'; readonly key: string; readonly ifVersion: number }

/** When a write takes place. */
export interface WriteCondition {
  /** The key's version must be this one; 0: the key must not exist. Absent: whatever is there. */
  readonly ifVersion?: number | undefined
}

/** How to put an entry. */
export interface PutOptions extends WriteCondition, CallOptions {
  /** Id of a {@link StoreLease}: the entry goes when the lease ends. */
  readonly lease?: string | undefined
}

/** Which part of a listing to give. */
export interface ListOptions extends CallOptions {
  /** Begins behind this key. */
  readonly after?: string | undefined
  /** Entries at most. Absent: all. */
  readonly limit?: number | undefined
}

/** Entries in order of their keys' bytes, all as they were at one moment. */
export interface StoreListing {
  readonly entries: readonly StoreEntry[]
  /** Keys whose values are damaged: `get` says more, a `put` or `delete` without a condition replaces them. */
  readonly damaged: readonly string[]
  /** Revision of the moment: `watch(prefix, { from: revision })` goes on from here without a gap. */
  readonly revision: number
  /** More entries follow: ask again with `after` set to the last key. */
  readonly more: boolean
}

/** What became of a key. */
export type StoreEvent =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array; readonly version: number }
  | { readonly type: 'delete'; readonly key: string }
  /** A value arrived that is damaged. */
  | { readonly type: 'damaged'; readonly key: string }

/** What one transaction changed under the watched prefix. */
export interface StoreChange {
  readonly revision: number
  readonly events: readonly StoreEvent[]
}

/** Where a watch begins, and what ends it. */
export interface WatchOptions extends CallOptions {
  /** Reports what was changed after this revision. Absent: from now on. */
  readonly from?: number | undefined
}

/** A promise to be alive, renewed by the store until it is released: what is bound to it goes with its holder. */
export interface StoreLease {
  readonly id: string
  readonly ttlMs: number
  /** Aborted once the lease is known, or has to be taken, to be over: entries bound to it are gone or will be. */
  readonly lost: AbortSignal
  /** Ends it now, with all entries bound to it. A second call does nothing. */
  release(): Promise<void>
}

/**
 * Keys and values shared by everybody who opens the same place.
 *
 * A store has one *revision*, a count that every transaction raises by one or more and that survives restarts.
 * Keys are texts without NUL, ordered by their bytes; values are bytes. Limits: {@link LIMITS}.
 *
 * All members throw `ERR_STORE_CLOSED` after (or while) `close` is called and `ERR_STORE_UNAVAILABLE` when the place
 * cannot be reached; that error's `outcome` says whether a write may have taken place. A write that is given up by its
 * signal rejects with the signal's reason, and may have taken place too if it was under way.
 */
export interface Store {
  /** @throws `ERR_KEY_NOT_FOUND`, `ERR_INVALID_KEY`, `ERR_VALUE_DAMAGED` */
  get(key: string, call?: CallOptions): Promise<StoreEntry>
  /** As `get`, but `undefined` where there is no such key. */
  find(key: string, call?: CallOptions): Promise<StoreEntry | undefined>
  /** Entries whose keys begin with `prefix` (empty: all). */
  list(prefix: string, options?: ListOptions): Promise<StoreListing>
  /**
   * @returns the entry's new version
   * @throws `ERR_VERSION_CONFLICT`, `ERR_INVALID_KEY`, `ERR_VALUE_TOO_LARGE`, `ERR_NO_SUCH_LEASE`, `ERR_STORE_FULL`,
   *   `ERR_STORE_READ_ONLY`
   */
  put(key: string, value: Uint8Array, options?: PutOptions): Promise<number>
  /** @returns whether there was something to delete */
  delete(key: string, options?: WriteCondition & CallOptions): Promise<boolean>
  /**
   * Carries out all operations or none; each key may occur once.
   *
   * @returns the revision, which is the new version of each entry that was put
   * @throws `ERR_VERSION_CONFLICT` naming the first key whose version differs, `ERR_DUPLICATE_KEY`,
   *   `ERR_TOO_MANY_OPERATIONS`, `ERR_TRANSACTION_TOO_LARGE`, and what `put` throws
   */
  transaction(operations: readonly StoreOperation[], call?: CallOptions): Promise<number>
  /**
   * Changes under `prefix`, a transaction at a time and in order: all that this object writes after the call, and what
   * others write from about then on; `from` the revision of a listing leaves no gap. Ends when `call.signal` is
   * aborted or the reader stops; a reader too slow for a bounded history gets `ERR_HISTORY_LOST` and lists anew.
   */
  watch(prefix: string, options?: WatchOptions): AsyncIterable<StoreChange>
  /** @param ttlMs - how long it outlives its holder: 1 000 to 3 600 000 */
  lease(ttlMs: number, call?: CallOptions): Promise<StoreLease>
  /** Releases the leases taken through this object, ends its watches with `ERR_STORE_CLOSED`, and waits for writes. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}
