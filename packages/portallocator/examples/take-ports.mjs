import { createServer } from 'node:net'
import { openPortAllocator } from '@net/portallocator'

const ports = openPortAllocator()
try {
  // Any port, on every address of both families.
  const lease = await ports.take({ protocol: 'tcp' })
  console.log(`tcp ${lease.port} is ours`)

  // It is held: neither another lease nor another program gets it.
  try {
    await ports.take({ protocol: 'tcp', port: lease.port, address: '127.0.0.1' })
  } catch (error) {
    console.log(error.code) // ERR_PORT_IN_USE
  }
  const server = createServer().on('error', (error) => console.log(error.code)) // EADDRINUSE
  await new Promise((resolve) => server.once('error', resolve).listen(lease.port))

  // One of a range, on one address. Going round, the next lease gets the next port.
  const within = { first: 20_000, last: 20_999 }
  const one = await ports.take({ protocol: 'udp', address: '127.0.0.1', within })
  const two = await ports.take({ protocol: 'udp', address: '127.0.0.1', within })
  console.log(one.port < two.port) // true

  // A hundred in a row. They are held, or refused, together.
  const many = await ports.take({ protocol: 'tcp', count: 100 })
  console.log(`tcp ${many.port} to ${many.port + many.count - 1} are ours`)

  await lease.release()
  server.removeAllListeners('error')
  await new Promise((resolve) => server.listen(lease.port, resolve))
  console.log('released, and taken by somebody else')
  server.close()
} finally {
  await ports.close()
}
