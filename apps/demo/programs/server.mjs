/**
 * What runs in a container: a web server on TCP port 80, and an echo on UDP port 7.
 *
 *     node server.mjs NAME
 *
 * Says `ready` once both can be reached. Ends with its standard input, so that it never outlives the demo.
 */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'

const [name] = process.argv.slice(2)

const web = createServer({ keepAlive: false }, (request, response) => {
  // An IPv4 client of a socket for both families has an IPv6 address that contains its own.
  const client = request.socket.remoteAddress?.replace('::ffff:', '')
  response.end(`hello from ${name} to ${client}`)
})
const echo = createSocket('udp6', (message, { address, port }) => {
  echo.send(`${message} from ${name} to ${address.replace('::ffff:', '')}`, port, address)
})

web.listen(80, '::', () => {
  echo.bind(7, '::', () => {
    console.log('ready')
  })
})
process.stdin.resume().on('end', () => process.exit())
