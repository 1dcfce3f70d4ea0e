import { Resolver as Client } from 'node:dns/promises'
import { NameTable, openResolver, SandboxNames } from '@net/resolver'

// The names of a network, and what a container on it sees of them.
const blue = new NameTable('blue')
blue.add({ id: 'endpoint1', name: 'web', aliases: ['www'], addresses: ['10.0.0.2', 'fd00::2'] })
const names = new SandboxNames()
names.setNetworks([{ table: blue, aliases: { db: 'postgres-1' } }])

// On loopback, which needs no root. For a container: { namespace: '/proc/PID/ns/net' }, and programs
// in there find it at 127.0.0.11, port 53.
const resolver = await openResolver({ address: '127.0.0.1', redirect: false }, { sources: [names] })
const client = new Client()
client.setServers([`127.0.0.1:${resolver.listening.udpPort}`])

try {
  console.log(await client.resolve4('web')) // [ '10.0.0.2' ]
  console.log(await client.resolve6('WWW.blue')) // [ 'fd00::2' ]
  console.log(await client.reverse('10.0.0.2')) // [ 'web.blue' ]

  // Names come and go while it runs.
  blue.add({ id: 'endpoint2', name: 'postgres-1', addresses: ['10.0.0.3'] })
  console.log(await client.resolve4('db')) // [ '10.0.0.3' ]

  // Nobody else may be asked here: what is not known is no answer.
  await client.resolve4('example.com')
} catch (error) {
  console.log(error.code) // ESERVFAIL
} finally {
  await resolver.close()
}
