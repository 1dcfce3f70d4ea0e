import type { Store } from '@net/datastore'
import type { SpaceKeys } from './stored-records.ts'

/** Keys that one transaction deletes. */
const BATCH = 100

/**
 * Deletes what is left of a pool that was let go: its addresses and owners, and at last the note that there is
 * something to delete. Whoever opens the store next finishes what a process that died had begun.
 *
 * @param doomed - key of that note
 */
export async function sweep(store: Store, keys: SpaceKeys, doomed: string): Promise<void> {
  const incarnation = doomed.slice(doomed.lastIndexOf('/') + 1)
  for (const prefix of [keys.addresses(incarnation), keys.owners(incarnation)]) await deleteAll(store, prefix)
  await store.delete(doomed)
}

async function deleteAll(store: Store, prefix: string): Promise<void> {
  for (;;) {
    const { entries, damaged, more } = await store.list(prefix, { limit: BATCH })
    const found = [...entries.map(({ key }) => key), ...damaged].slice(0, BATCH)
    if (found.length > 0) await store.transaction(found.map((key) => ({ type: 'delete', key })))
    if (!more && found.length < BATCH) return
  }
}
