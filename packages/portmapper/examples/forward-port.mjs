import { createServer, connect } from 'node:net'
import { UserlandProxy } from '@net/portmapper'

// A server of a container: it answers what it hears, when it has heard all of it.
const server = createServer({ allowHalfOpen: true }, (socket) => {
  let heard = ''
  socket.setEncoding('utf8').on('data', (text) => (heard += text))
  socket.on('end', () => socket.end(`all of it: ${heard}`))
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))

const proxy = new UserlandProxy()
try {
  // Any free port of the host's, onto the container's. Also with protocol 'udp' or 'sctp', and with a count of ports.
  const { forward } = await proxy.openForward({
    protocol: 'tcp',
    address: '127.0.0.1',
    port: 0,
    containerAddress: '127.0.0.1',
    containerPort: server.address().port,
  })

  // Each direction ends by itself.
  const client = connect(forward.port, forward.address)
  client.end('hello')
  for await (const text of client.setEncoding('utf8')) console.log(text) // all of it: hello

  // A port leads to one place.
  await proxy.openForward({ ...forward, containerPort: 81 })
} catch (error) {
  console.log(error.code) // ERR_FORWARD_EXISTS
} finally {
  await proxy.close()
  server.close()
}
