import { memoryStore } from '@net/datastore' // or @net/datastore-lmdb, @net/datastore-etcd
import { defaultIpam } from '@net/ipam'

const store = memoryStore()
const ipam = defaultIpam({}, { store })
const { id } = await ipam.requestPool({ addressSpace: 'LocalDefault', pool: '10.1.0.0/16' })

// The address, and what its holder records of it, in one transaction: both or neither, whenever the process dies.
const record = { type: 'put', key: 'container/1', value: new TextEncoder().encode('web') }
console.log((await ipam.requestAddress(id, { owner: 'container/1' }, { with: [record] })).address) // 10.1.0.1/16

// Another manager over the same store, in this process or on another host.
const other = defaultIpam({}, { store })
console.log((await other.requestAddress(id)).address) // 10.1.0.2/16
console.log((await other.requestAddress(id, { owner: 'container/1' })).address) // 10.1.0.1/16
await store.close()
