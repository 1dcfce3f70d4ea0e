// One end of the test lab: answers on ports of its namespace, and asks others when told to.
// In: one JSON request a line. Out: `ready`, then one JSON answer a line.
import { createServer, connect } from 'node:net'
import { createSocket } from 'node:dgram'
import { createInterface } from 'node:readline'

const [name, ...ports] = process.argv.slice(2)

/** Who answers, and whom the packet is from as this end sees it. */
const greeting = (who, address) => `${who} sees ${address.replace('::ffff:', '')}`

/** Answers on a port, over TCP and UDP. */
const answer = (who, port) => [
  new Promise((resolve) => {
    createServer((socket) => socket.on('error', () => undefined).end(greeting(who, socket.remoteAddress))).listen(
      { port, host: '::' },
      resolve,
    )
  }),
  new Promise((resolve) => {
    const socket = createSocket('udp6')
    socket.on('message', (_, from) => socket.send(greeting(who, from.address), from.port, from.address))
    socket.bind(port, '::', resolve)
  }),
]

const ready = ports.flatMap((port) => answer(name, Number(port)))

const listen = async ({ listen: more }) => {
  await Promise.all(more.flatMap((port) => answer(`${name}:${port}`, port)))
  return ''
}

const askTcp = ({ address, port, waitMs }) =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: address, port })
    let text = ''
    socket.setTimeout(waitMs, () => socket.destroy(new Error('no answer')))
    socket.on('data', (chunk) => (text += chunk))
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })

const askUdp = ({ address, port, from = 0, waitMs }) =>
  new Promise((resolve, reject) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const giveUp = setTimeout(() => socket.close(() => reject(new Error('no answer'))), waitMs)
    socket.on('error', reject)
    socket.on('message', (message) => {
      clearTimeout(giveUp)
      socket.close(() => resolve(String(message)))
    })
    socket.bind(from, () => socket.send('hello', port, address))
  })

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const request = JSON.parse(line)
    const ask = request.listen !== undefined ? listen : request.protocol === 'tcp' ? askTcp : askUdp
    const answer = await ask(request).then(
      (text) => ({ text }),
      (error) => ({ error: error.code ?? error.message }),
    )
    process.stdout.write(`${JSON.stringify({ id: request.id, ...answer })}\n`)
  })
  .on('close', () => process.exit())

await Promise.all(ready)
process.stdout.write('ready\n')
