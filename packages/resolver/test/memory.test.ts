import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import packet from 'dns-packet'
import { afterEach, describe, expect, it } from 'vitest'
import { openResolver, type Resolver } from '../src/index.ts'
import { frame, FrameReader } from '../src/tcp-frames.ts'
import { decodeAnswer, encodeQuestion } from './client.ts'

/** As many as a resolver serves, and of each as many as it lets wait. */
const CONNECTIONS = 64
const QUESTIONS = 32
const MEGABYTE = 2 ** 20

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A server by TCP: it hears everything and answers as it is told, or not at all. */
async function upstream(answer?: (asked: Buffer) => Uint8Array): Promise<{ address: string; port: number }> {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket.on('error', () => undefined))
    socket.on('data', (bytes) => answer && socket.write(frame(answer(bytes.subarray(2)))))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return { address: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

async function resolverFor(server: { address: string; port: number }): Promise<Resolver> {
  const resolver = await openResolver(
    { address: '127.0.0.1', redirect: false, servers: [server], serverTimeoutMs: 60_000, timeoutMs: 60_000 },
    { sources: [] },
  )
  closing.push(() => resolver.close())
  return resolver
}

async function connections(resolver: Resolver): Promise<Socket[]> {
  const open = Array.from({ length: CONNECTIONS }, () => connect(resolver.listening.tcpPort, '127.0.0.1'))
  closing.push(() => {
    for (const socket of open) socket.destroy()
  })
  await Promise.all(open.map((socket) => once(socket, 'connect')))
  return open
}

/** A question that an option of EDNS makes this long. */
function paddedTo(bytes: number, name: string): Uint8Array {
  const withPadding = (length: number): Uint8Array => {
    const opt = { type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, extendedRcode: 0, ednsVersion: 0 }
    const additionals = [{ ...opt, options: [{ code: 'PADDING', length }] }]
    return encodeQuestion(name, 'A', { additionals: additionals as never })
  }
  return withPadding(bytes - withPadding(0).length)
}

/** The codes of so many answers. */
async function codesFrom(socket: Socket, count: number): Promise<string[]> {
  const reader = new FrameReader()
  const codes: string[] = []
  for await (const piece of socket as AsyncIterable<Buffer>) {
    reader.push(piece)
    for (let answer = reader.next(); answer !== undefined; answer = reader.next())
      codes.push(decodeAnswer(answer).rcode)
    if (codes.length === count) break
  }
  return codes
}

/** Bytes of everything that somebody can still reach. */
function reachable(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe('what a resolver keeps of questions', () => {
  it('stays small however many wait, of the greatest length that is taken', async () => {
    const resolver = await resolverFor(await upstream())
    const sockets = await connections(resolver)
    const before = reachable()
    for (const [at, socket] of sockets.entries())
      for (let count = 0; count < QUESTIONS; count++) socket.write(frame(paddedTo(2048, `q${at}-${count}.example`)))
    while (resolver.statistics().questions < CONNECTIONS * QUESTIONS) await turn()

    expect(reachable() - before).toBeLessThan(48 * MEGABYTE)
  })

  it('is nothing where they are longer than any program asks: those are refused', async () => {
    const resolver = await resolverFor(await upstream())
    const sockets = await connections(resolver)
    const question = frame(paddedTo(65_000, 'long.example'))
    const before = reachable()
    for (const socket of sockets) for (let count = 0; count < 40; count++) socket.write(question)
    const codes = await Promise.all(sockets.map((socket) => codesFrom(socket, 40)))

    expect(new Set(codes.flat())).toEqual(new Set(['REFUSED']))
    expect(resolver.statistics().forwarded).toBe(0)
    expect(reachable() - before).toBeLessThan(48 * MEGABYTE)
  })

  it.each([100, 600, 1500, 2048])('is enough to have one of %d bytes answered', async (length) => {
    const server = await upstream((asked) => {
      const { id = 0, questions = [] } = packet.decode(asked)
      return packet.encode({ type: 'response', id, questions })
    })
    const resolver = await resolverFor(server)
    const [socket] = await connections(resolver)
    socket!.write(frame(paddedTo(length, 'web.example')))

    expect(await codesFrom(socket!, 1)).toEqual(['NOERROR'])
    expect(resolver.statistics().forwarded).toBe(1)
  })
})
