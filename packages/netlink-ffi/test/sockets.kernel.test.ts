import { execFileSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { once } from 'node:events'
import { connect, createServer, Socket, type AddressInfo } from 'node:net'
import { beforeEach, expect, it } from 'vitest'
import {
  AnsweringSocket,
  connectStream,
  DatagramBatch,
  DatagramSocket,
  holdPort,
  isErrno,
  listenStream,
} from '../src/index.ts'
import { describeKernel, enterFreshHost, ip } from '../src/testing/index.ts'

await enterFreshHost()

const batch = new DatagramBatch()
const loopback = { address: '127.0.0.1', port: 0 }

/** Resolves when something has come in. */
function readable(socket: DatagramSocket): Promise<void> {
  // A watched descriptor does not keep the process alive, and nothing else does here.
  const alive = setInterval(() => undefined, 1000)
  return new Promise((resolve) => {
    socket.watch(() => {
      clearInterval(alive)
      resolve()
    })
  })
}

describeKernel('a datagram socket', () => {
  it.each(['127.0.0.1', '::1'])('answers many datagrams at once, each to its sender, on %s', async (address) => {
    using server = DatagramSocket.bind({ address, port: 0 })
    const clients = Array.from({ length: 100 }, () => DatagramSocket.connect(server.localAddress))
    for (const [at, client] of clients.entries()) client.send(Uint8Array.of(at, 1, 2))

    for (let count = server.receiveBatch(batch); count > 0; count = server.receiveBatch(batch)) {
      for (let at = 0; at < count; at++) {
        const start = batch.start(at)
        const query = batch.received.subarray(start, start + batch.length(at))
        expect(batch.reply(at, Uint8Array.of(query[0]!, 9))).toBe(true)
      }
      server.sendBatch(batch)
    }
    await readable(clients[99]!)

    expect(clients.map((client) => [...client.receive()!])).toEqual(clients.map((_, at) => [at, 9]))
    for (const client of clients) client.close()
  })

  it('answers later, to a sender it kept', async () => {
    using server = DatagramSocket.bind(loopback)
    using client = DatagramSocket.connect(server.localAddress)
    const arrived = readable(server)
    client.send(Uint8Array.of(1))
    await arrived
    server.receiveBatch(batch)

    const sender = batch.sender(0)
    const answer = new Uint8Array(60_000).fill(7)

    expect(batch.reply(0, answer)).toBe(false)
    expect(server.sendTo(answer, sender)).toBe(true)
    expect(client.receive()).toEqual(answer)
  })

  it('passes over datagrams that are longer than a slot', () => {
    using server = DatagramSocket.bind(loopback)
    using client = DatagramSocket.connect(server.localAddress)
    client.send(new Uint8Array(5000))
    client.send(new Uint8Array(4096))

    expect(server.receiveBatch(batch)).toBe(2)
    expect([batch.length(0), batch.length(1)]).toEqual([0, 4096])
  })

  it('hears nobody but whom it is connected with', () => {
    using server = DatagramSocket.bind(loopback)
    using client = DatagramSocket.connect(server.localAddress)
    using stranger = DatagramSocket.connect(client.localAddress)

    expect(() => {
      stranger.send(Uint8Array.of(1))
      stranger.send(Uint8Array.of(1))
    }).toThrow('ECONNREFUSED')
    expect(client.receive()).toBeUndefined()
  })

  it('says that nobody listens', () => {
    const gone = DatagramSocket.bind(loopback)
    using client = DatagramSocket.connect(gone.localAddress)
    gone.close()
    client.send(Uint8Array.of(1))

    expect(() => client.receive()).toThrow('recv: ECONNREFUSED')
  })

  it('refuses a port that is taken, and use after close', () => {
    const server = DatagramSocket.bind(loopback)
    const { localAddress } = server
    expect(() => DatagramSocket.bind(localAddress)).toThrow('bind: EADDRINUSE')
    server.close()
    server.close()

    expect(() => server.receiveBatch(batch)).toThrow('datagram socket is closed')
  })
})

describeKernel('a stream socket', () => {
  it('that listens is taken over by a server, and one that connects by a socket', async () => {
    const { fd, localAddress } = listenStream(loopback)
    const server = createServer((socket) => socket.end('hello'))
    server.listen({ fd })
    await once(server, 'listening')

    const client = new Socket({ fd: connectStream(localAddress) })
    const [text] = (await once(client.setEncoding('utf8'), 'data')) as [string]

    expect(text).toBe('hello')
    expect((server.address() as AddressInfo).port).toBe(localAddress.port)
    client.destroy()
    server.close()
  })

  it('refuses a port that is taken', () => {
    const { fd, localAddress } = listenStream(loopback)
    let refusal: unknown
    try {
      listenStream(localAddress)
    } catch (error) {
      refusal = error
    } finally {
      closeSync(fd)
    }

    expect(isErrno(refusal, 'EADDRINUSE')).toBe(true)
  })
})

describeKernel('an answering socket', () => {
  it.each([
    ['127.0.0.2', '0.0.0.0'],
    ['fd00::2', '::'],
  ])('answers from %s, which was asked, though it is bound to %s', async (asked, address) => {
    ip('addr', 'replace', 'fd00::2/128', 'dev', 'lo', 'nodad')
    using server = AnsweringSocket.bind({ address, port: 0 }, { isOnlyIpv6: true })
    // Connected, so that it hears nobody but whom it asked.
    using client = DatagramSocket.connect({ address: asked, port: server.localAddress.port })
    client.send(new Uint8Array(60_000).fill(7))

    const question = server.receive()!
    expect(question.payload).toEqual(new Uint8Array(60_000).fill(7))
    expect(server.answer(Uint8Array.of(1, 2), question.origin)).toBe(true)

    await readable(client)
    expect(client.receive()).toEqual(Uint8Array.of(1, 2))
    expect(server.receive()).toBeUndefined()
  })

  it('tells those apart who ask from other sockets or ask other addresses', () => {
    using server = AnsweringSocket.bind({ address: '0.0.0.0', port: 0 })
    const { port } = server.localAddress
    const clients = ['127.0.0.1', '127.0.0.1', '127.0.0.2'].map((address) => DatagramSocket.connect({ address, port }))
    for (const client of [...clients, ...clients]) client.send(Uint8Array.of(1))

    const keys = Array.from({ length: 6 }, () => server.receive()?.origin.key)

    expect(new Set(keys).size).toBe(3)
    expect(keys.slice(3)).toEqual(keys.slice(0, 3))
    for (const client of clients) client.close()
  })
})

describeKernel('a held port', () => {
  let port: number
  beforeEach(() => {
    port = 20_000 + Math.floor(Math.random() * 10_000)
  })

  /** A shared server of each protocol on one address. */
  const serve = (address: string): Disposable => {
    const { fd } = listenStream({ address, port }, { isShared: true })
    const udp = AnsweringSocket.bind({ address, port }, { isShared: true })
    return {
      [Symbol.dispose]: () => {
        udp.close()
        closeSync(fd)
      },
    }
  }

  it('is left to shared sockets for a moment', () => {
    const held = (['tcp', 'udp'] as const).map((protocol) => holdPort({ protocol, port }))
    expect(() => serve('::1')).toThrow('bind: EADDRINUSE')

    for (const one of held) one.setShared(true)
    using _server = serve('::1')
    for (const one of held) one.setShared(false)

    expect(() => serve('127.0.0.1')).toThrow('bind: EADDRINUSE')
    expect(() => holdPort({ protocol: 'tcp', port, isShared: true })).toThrow('bind: EADDRINUSE')
    expect(() => DatagramSocket.bind({ address: '0.0.0.0', port })).toThrow('bind: EADDRINUSE')
    for (const one of held) one.close()
  })

  it('is taken beside shared sockets that are there, and keeps others out', () => {
    using _server = serve('::1')
    expect(() => holdPort({ protocol: 'tcp', port })).toThrow('bind: EADDRINUSE')

    const held = (['tcp', 'udp'] as const).map((protocol) => holdPort({ protocol, port, isShared: true }))
    for (const one of held) one.setShared(false)

    expect(() => listenStream({ address: '::', port })).toThrow('bind: EADDRINUSE')
    expect(() => listenStream({ address: '127.0.0.1', port })).toThrow('bind: EADDRINUSE')
    expect(() => DatagramSocket.bind({ address: '0.0.0.0', port })).toThrow('bind: EADDRINUSE')
    for (const one of held) one.close()
  })

  it('is taken from what a server that has ended left of its connections, not from one that listens', async () => {
    const server = createServer((socket) => socket.end('bye'))
    server.listen(port, '::1')
    await once(server, 'listening')
    const client = connect(port, '::1').resume()
    await once(client, 'close')
    expect(() => holdPort({ protocol: 'tcp', port })).toThrow('bind: EADDRINUSE')
    server.close()
    await once(server, 'close')
    expect(execFileSync('ss', ['-Htan', `sport = :${port}`], { encoding: 'utf8' })).toMatch(/^TIME-WAIT/)

    using _held = holdPort({ protocol: 'tcp', port })

    expect(() => holdPort({ protocol: 'tcp', port })).toThrow('bind: EADDRINUSE')
  })
})
