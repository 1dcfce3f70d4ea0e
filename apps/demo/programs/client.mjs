/**
 * Asks servers, on request: a line of JSON on standard input is a question, one on standard output an answer.
 *
 *     {"id":1,"url":"http://10.0.0.2/","timeoutMs":700}    →  {"id":1,"body":"hello"}
 *     {"id":2,"url":"udp://10.0.0.2:7","timeoutMs":700}    →  {"id":2,"failure":"timeout"}
 *
 * Says `ready` first. Ends with its standard input, so that it never outlives the demo.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { get } from 'node:http'
import { createInterface } from 'node:readline'

async function answer({ url, timeoutMs }) {
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    return { body: await (url.startsWith('udp:') ? ask(new URL(url), signal) : fetch(url, signal)) }
  } catch (error) {
    return { failure: signal.aborted ? 'timeout' : (error.code ?? error.message) }
  }
}

/** As the global `fetch`, but with a connection of its own each time: one kept alive would outlive its port. */
async function fetch(url, signal) {
  const [response] = await once(get(url, { agent: false, signal }), 'response')
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) body += chunk
  return body
}

/** Sends a datagram until there is an answer: datagrams may be lost. */
async function ask({ hostname, port }, signal) {
  const address = hostname.replace(/^\[|\]$/g, '')
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  try {
    socket.connect(Number(port), address)
    await once(socket, 'connect', { signal })
    const answered = once(socket, 'message', { signal })
    socket.send('hello')
    const again = setInterval(() => socket.send('hello'), 200)
    const [message] = await answered.finally(() => clearInterval(again))
    return message.toString()
  } finally {
    socket.close()
  }
}

console.log('ready')
createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { id, ...question } = JSON.parse(line)
    console.log(JSON.stringify({ id, ...(await answer(question)) }))
  })
  .on('close', () => process.exit())
