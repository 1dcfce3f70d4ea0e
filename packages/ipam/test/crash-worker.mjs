/**
 * One of several processes that take and release addresses of one pool in one store, until it is killed.
 *
 * `together`: what it holds is recorded in the transaction that takes it. `apart`: its intent is recorded first, and
 * what it got afterwards; what its predecessor, of the same number, left half done is asked for again.
 */
import { openLmdbStore } from '@net/datastore-lmdb'
import { defaultIpam } from '@net/ipam'

const [path, poolId, way, number] = process.argv.slice(2)
const store = await openLmdbStore({ path })
const ipam = defaultIpam({}, { store })
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const plain = (cidr) => cidr.slice(0, cidr.indexOf('/'))
const put = (key, text) => ({ type: 'put', key, value: encoder.encode(text) })
const held = new Map()

async function take(owner) {
  if (way === 'together') {
    // Which address it will be is not known yet: the key of the record names the owner, the store the address.
    const { address } = await ipam.requestAddress(poolId, { owner, serial: true }, { with: [put(`held/${owner}`, '')] })
    held.set(owner, plain(address))
    return
  }
  await store.put(`intent/${owner}`, new Uint8Array())
  const { address } = await ipam.requestAddress(poolId, { owner, serial: true })
  await store.transaction([put(`held/${owner}`, plain(address)), { type: 'delete', key: `intent/${owner}` }])
  held.set(owner, plain(address))
}

async function release(owner) {
  const address = held.get(owner)
  held.delete(owner)
  if (way === 'together') {
    await ipam.releaseAddress(poolId, address, { with: [{ type: 'delete', key: `held/${owner}` }] })
    return
  }
  await store.transaction([put(`intent/${owner}`, ''), { type: 'delete', key: `held/${owner}` }])
  await ipam.releaseAddress(poolId, address)
  await store.delete(`intent/${owner}`)
}

/** Finishes what was intended before: it is asked for again, whether it had been done or not, and let go. */
async function recover() {
  for (const { key } of (await store.list(`intent/${number}-`)).entries) {
    const owner = key.slice('intent/'.length)
    const { address } = await ipam.requestAddress(poolId, { owner })
    await ipam.releaseAddress(poolId, plain(address))
    await store.delete(key)
  }
  for (const { key, value } of (await store.list(`held/${number}-`)).entries) {
    const owner = key.slice('held/'.length)
    const address = decoder.decode(value)
    held.set(owner, address === '' ? plain((await ipam.requestAddress(poolId, { owner })).address) : address)
  }
}

await recover()
process.send?.('ready')
for (let at = 0; ; at++) {
  const owners = [...held.keys()]
  const mayTake = owners.length < 20
  const mayRelease = owners.length > 0
  if (mayTake && (Math.random() < 0.55 || !mayRelease)) {
    await Promise.all([0, 1, 2].map((one) => take(`${number}-${process.pid}-${at}-${one}`)))
  } else {
    await release(owners[Math.floor(Math.random() * owners.length)])
  }
}
