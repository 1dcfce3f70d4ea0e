import { defaultIpam } from '@net/ipam'

const ipam = defaultIpam({ pools: [{ base: '10.10.0.0/16', size: 24 }] })
const addressSpace = ipam.addressSpaces.local

// A pool that the manager chooses, and addresses in it.
const pool = await ipam.requestPool({ addressSpace })
console.log(pool.pool) // 10.10.0.0/24
console.log((await ipam.requestAddress(pool.id)).address) // 10.10.0.1/24
console.log((await ipam.requestAddress(pool.id, { address: '10.10.0.77' })).address) // 10.10.0.77/24

// The same owner asking again gets the address it holds.
const owner = 'endpoint1'
console.log((await ipam.requestAddress(pool.id, { owner })).address) // 10.10.0.2/24
console.log((await ipam.requestAddress(pool.id, { owner })).address) // 10.10.0.2/24

// A pool given, with addresses out of a part of it only.
const part = await ipam.requestPool({ addressSpace, pool: 'fd00:1::/64', subPool: 'fd00:1::100/120' })
console.log((await ipam.requestAddress(part.id)).address) // fd00:1::100/64

try {
  await ipam.requestPool({ addressSpace, pool: '10.10.0.0/20' })
} catch (error) {
  console.log(error.message) // pool 10.10.0.0/20 overlaps with pool 10.10.0.0/24 of address space LocalDefault
}

await ipam.releaseAddress(pool.id, '10.10.0.77')
await ipam.releasePool(pool.id)
