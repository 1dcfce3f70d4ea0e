import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  addAddress,
  addRoute,
  createNamespace,
  deleteNamespace,
  inNamespaceAt,
  RouteSocket,
  setLink,
} from '@net/netlink-ffi'

// Run as root: it makes a network namespace and wires it to this one.
const folder = mkdtempSync(join(tmpdir(), 'netlink-'))
const path = join(folder, 'blue')
const routes = RouteSocket.open()
try {
  createNamespace(path, () => {})

  // One message makes the pair, with its far end born in the namespace under its final name.
  const namespaceFd = openSync(path, 'r')
  const near = routes.createLink({ kind: 'veth', name: 'blue0', peer: { name: 'eth0', namespaceFd } })
  closeSync(namespaceFd)
  routes.apply(addAddress({ index: near.index, address: '192.0.2.1/30' }), setLink(near.index, { up: true }))

  // A socket opened inside stays there; the thread is back when the function returns.
  const inside = inNamespaceAt(path, () => RouteSocket.open())
  const { index } = inside.getLink('eth0')
  inside.apply(
    setLink(index, { up: true }),
    addAddress({ index, address: '192.0.2.2/30' }),
    addRoute({ destination: '0.0.0.0/0', gateway: '192.0.2.1' }),
  )
  for (const { name, up } of inside.listLinks()) console.log(name, up ? 'up' : 'down') // lo down, eth0 up
  for (const { address } of inside.listAddresses(index)) console.log(address)
  inside.close()

  // Refusals carry the request, the error number and, where it has one, the kernel's own sentence.
  try {
    routes.createLink({ kind: 'bridge', name: 'blue0' })
  } catch (error) {
    console.log(error.code, error.errno, error.message) // ERR_NETLINK 17 RTM_NEWLINK bridge blue0: EEXIST
  }
} finally {
  await routes.deleteLinks(['blue0'])
  routes.close()
  deleteNamespace(path)
  rmSync(folder, { recursive: true })
}
