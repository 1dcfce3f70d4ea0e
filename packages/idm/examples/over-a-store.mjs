import { memoryStore } from '@net/datastore' // or @net/datastore-lmdb, @net/datastore-etcd
import { openIdm } from '@net/idm'

const store = memoryStore()
const vnis = await openIdm({ name: 'vni', first: 4096, last: 2 ** 24 - 1 }, { store })
const elsewhere = await openIdm({ name: 'vni', first: 4096, last: 2 ** 24 - 1 }, { store })

// The id, and what its holder records of it, in one transaction: both or neither.
const record = { type: 'put', key: 'network/1', value: new TextEncoder().encode('blue') }
console.log(await vnis.take({}, { with: [record] })) // 4096
console.log(await elsewhere.take()) // 4097
await store.close()
