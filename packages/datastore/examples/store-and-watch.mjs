import { Collection, memoryStore } from '@net/datastore'

const store = memoryStore()
const bytes = (text) => new TextEncoder().encode(text)
const changes = store.watch('networks/')[Symbol.asyncIterator]()

// A version for each write; who names one writes only if nobody was faster.
const version = await store.put('networks/web', bytes('10.0.0.0/24'), { ifVersion: 0 })
await store.put('networks/web', bytes('10.0.1.0/24'), { ifVersion: version })
try {
  await store.put('networks/web', bytes('10.0.2.0/24'), { ifVersion: version })
} catch (error) {
  console.log(error.code, error.actual) // ERR_VERSION_CONFLICT 2
}

// All or nothing, and one change to those who watch.
await store.transaction([
  { type: 'check', key: 'networks/web', ifVersion: 2 },
  { type: 'put', key: 'networks/db', value: bytes('10.0.3.0/24') },
])
for (let seen = 0; seen < 3; seen++) {
  const { value } = await changes.next()
  console.log(value.revision, value.events.map(({ type, key }) => `${type} ${key}`).join()) // 1 put networks/web
}

// Records with a schema (of zod, or whatever has a `parse`), as JSON.
const parse = (value) => ({ mtu: Number(value.mtu) })
const links = new Collection(store, { prefix: 'links/', schema: { parse }, version: 1 })
await links.put('eth0', { mtu: 1500 })
console.log((await links.get('eth0')).value) // { mtu: 1500 }
await store.close()
