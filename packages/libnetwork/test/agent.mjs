// One place of the reach lab: answers on ports of its namespace over TCP, and asks others when told to.
// In: one JSON request a line. Out: `ready`, then one JSON answer a line.
import { createServer, connect } from 'node:net'
import { createInterface } from 'node:readline'

const [name, ...ports] = process.argv.slice(2)

/** Whom the connection is from, as this end sees it. */
const greeting = (socket) => `${name} sees ${socket.remoteAddress.replace('::ffff:', '')}`

const listen = (port) =>
  new Promise((resolve) => {
    const server = createServer((socket) => socket.on('error', () => undefined).end(greeting(socket)))
    server.listen({ port: Number(port), host: '::' }, resolve)
  })

const ask = ({ address, port, waitMs }) =>
  new Promise((resolve) => {
    const socket = connect({ host: address, port })
    let text = ''
    socket.setTimeout(waitMs, () => socket.destroy(new Error('no answer')))
    socket.on('data', (chunk) => (text += chunk))
    socket.on('end', () => resolve({ text }))
    socket.on('error', (error) => resolve({ error: error.code ?? error.message }))
  })

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { id, ...question } = JSON.parse(line)
    process.stdout.write(`${JSON.stringify({ id, ...(await ask(question)) })}\n`)
  })
  .on('close', () => process.exit())

await Promise.all(ports.map(listen))
process.stdout.write('ready\n')
