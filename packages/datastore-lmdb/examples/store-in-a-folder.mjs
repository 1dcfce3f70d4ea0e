import { openLmdbStore, restoreLmdbStore } from '@net/datastore-lmdb'
import { mkdtemp, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const path = await mkdtemp(join(tmpdir(), 'store-'))
const store = await openLmdbStore({ path })

// On the disk when it resolves; other processes that have the folder open see it at once.
const version = await store.put('networks/web', new TextEncoder().encode('10.0.0.0/24'))
console.log((await store.list('networks/')).entries.length) // 1

// What is bound to a lease goes when its holder does.
const lease = await store.lease(5000)
await store.put('alive/1', new Uint8Array(), { lease: lease.id })
await store.close()

// Versions count on over restarts.
const again = await openLmdbStore({ path })
console.log((await again.get('networks/web')).version === version, await again.find('alive/1')) // true undefined
await again.close()

// A file that is damaged is refused, kept, and restored when you say so.
await truncate(join(path, 'data.mdb'), 5000)
try {
  await openLmdbStore({ path })
} catch (error) {
  console.log(error.code) // ERR_STORE_DAMAGED
}
console.log((await restoreLmdbStore({ path })).entries) // 1
await rm(path, { recursive: true })
