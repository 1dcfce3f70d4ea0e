import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { openEtcdStore } from '@net/datastore-etcd'

// A server to try it with. Yours runs already, on three machines or five.
const port = 20_000 + (process.pid % 10_000) * 2
const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${port + 1}`]
const folder = await mkdtemp('/tmp/etcd-')
const listen = ['--listen-client-urls', client, '--advertise-client-urls', client, '--listen-peer-urls', peer]
const etcd = spawn('etcd', ['--data-dir', folder, ...listen], { stdio: 'ignore' })

// Two hosts with the same etcd.
const here = await openEtcdStore({ endpoints: [client], prefix: 'example/' })
const there = await openEtcdStore({ endpoints: [client], prefix: 'example/' })

// Both want the same addresses, and one of them gets them.
await here.put('pools/10.0.1.0', Buffer.from('blue'), { ifVersion: 0 })
try {
  await there.put('pools/10.0.1.0', Buffer.from('green'), { ifVersion: 0 })
} catch (error) {
  console.log(error.code) // ERR_VERSION_CONFLICT
}

// One is there for as long as it lives, and the other one sees it come and go.
const { revision } = await there.list('hosts/')
const lease = await here.lease(5_000)
await here.put('hosts/here', Buffer.from('10.0.0.1'), { lease: lease.id })
await here.close()
for await (const { events } of there.watch('hosts/', { from: revision })) {
  const [{ type, key }] = events
  console.log(type, key) // put hosts/here: and delete hosts/here
  if (type === 'delete') break
}

await there.close()
etcd.kill()
await once(etcd, 'exit')
await rm(folder, { recursive: true })
