import {
  NoSuchLeaseError,
  ValueDamagedError,
  VersionConflictError,
  type StoreEvent,
  type StoreOperation,
} from '@net/datastore'
import { isNetError } from '@net/types'
import type { Draft } from './draft.ts'
import { boundKey, decodeLease, encodeEntry, encodeLease, type EntryRecord, type LeaseRecord } from './records.ts'

/** Entries that go in one commit when their lease ends. */
const LEASE_BATCH = 100

/** What a transaction came to. */
export interface TransactionResult {
  readonly revision: number
  /** How many entries there were to delete. */
  readonly deleted: number
}

/** What lies under a key: `damaged` where it cannot be read. */
type Found = EntryRecord | 'damaged' | undefined

/** Carries out all operations on the draft, or throws before it has touched it. */
export function planTransaction(draft: Draft, operations: readonly StoreOperation[], now: number): TransactionResult {
  const found = operations.map(({ key }) => findEntry(draft, key, now))
  operations.forEach((operation, at) => {
    checkCondition(draft, operation, found[at], now)
  })
  const revision = draft.revision + 1
  const events: StoreEvent[] = []
  operations.forEach((operation, at) => {
    const { type, key } = operation
    if (type === 'check' || (type === 'delete' && found[at] === undefined)) return
    clear(draft, key)
    if (type === 'delete') {
      draft.remove('entries', key)
      return events.push({ type, key })
    }
    const { lease, value } = operation
    draft.put('entries', key, encodeEntry(key, { version: revision, lease, value }))
    if (lease !== undefined) draft.put('bound', boundKey(lease, key), new Uint8Array(1))
    return events.push({ type, key, value, version: revision })
  })
  if (events.length > 0) draft.log(events)
  return { revision: draft.revision, deleted: events.filter(({ type }) => type === 'delete').length }
}

/** Adds a lease, or renews one. */
export function planLease(draft: Draft, id: string, lease: LeaseRecord): void {
  draft.put('leases', id, encodeLease(id, lease))
}

/** Renews a lease if it is not over. */
export function planRenewal(draft: Draft, id: string, ttlMs: number, now: number): boolean {
  if (!isAlive(draft, id, now)) return false
  planLease(draft, id, { ttlMs, expiresAt: now + ttlMs })
  return true
}

/**
 * Removes a lease and the entries that are bound to it: what earlier plans have bound is seen, and later ones bind
 * nothing more. Where there are more than one commit takes, the lease stays, as one that is over: whoever finds it goes
 * on, should this process not live to do so.
 *
 * @returns whether that was all
 */
export function planLeaseEnd(draft: Draft, id: string): boolean {
  const keys = draft.boundKeys(id, LEASE_BATCH)
  const events: StoreEvent[] = []
  for (const key of keys) {
    draft.remove('bound', boundKey(id, key))
    const found = draft.entry(key)
    if (found === undefined || found === 'damaged' || found.lease !== id) continue
    draft.remove('entries', key)
    events.push({ type: 'delete', key })
  }
  const isAll = keys.length < LEASE_BATCH
  if (isAll) draft.remove('leases', id)
  else planLease(draft, id, { ttlMs: 0, expiresAt: 0 })
  if (events.length > 0) draft.log(events)
  return isAll
}

/** Whether a lease record says that the lease is not over. */
export function isLeaseAlive(id: string, record: Uint8Array | undefined, now: number): boolean {
  if (record === undefined) return false
  try {
    return decodeLease(id, record).expiresAt > now
  } catch (error) {
    // Nobody can say when it ends, so it ends now: its holder learns it when it renews.
    if (isNetError(error, 'ERR_VALUE_DAMAGED')) return false
    throw error
  }
}

function isAlive(draft: Draft, id: string, now: number): boolean {
  return isLeaseAlive(id, draft.get('leases', id), now)
}

/** As {@link Draft.entry}, without what a lease that is over has left. */
function findEntry(draft: Draft, key: string, now: number): Found {
  const found = draft.entry(key)
  if (found === undefined || found === 'damaged' || found.lease === undefined) return found
  return isAlive(draft, found.lease, now) ? found : undefined
}

function checkCondition(draft: Draft, operation: StoreOperation, found: Found, now: number): void {
  const { type, key, ifVersion } = operation
  if (ifVersion !== undefined) {
    if (found === 'damaged') throw new ValueDamagedError(key, 'its version cannot be compared')
    const actual = found?.version ?? 0
    if (actual !== ifVersion) throw new VersionConflictError(key, ifVersion, actual)
  }
  if (type === 'put' && operation.lease !== undefined && !isAlive(draft, operation.lease, now))
    throw new NoSuchLeaseError(operation.lease)
}

/** Makes room under a key, also where the lease of what lies there is over. A damaged record is kept aside. */
function clear(draft: Draft, key: string): void {
  const record = draft.get('entries', key)
  if (record === undefined) return
  const entry = draft.entry(key)
  if (entry === 'damaged') draft.setAside({ key, bytes: record })
  else if (entry?.lease !== undefined) draft.remove('bound', boundKey(entry.lease, key))
}
