import { once } from 'node:events'
import { createServer } from 'node:net'
import { countDescriptors, hasSctp, holdPort, listenStream } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, ip } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { UserlandProxy, type Forward } from '../src/index.ts'
import { ask, connected, exchange, heardFrom, tcpEcho, udpClient, udpEcho } from './echo.ts'

await enterFreshHost()

let proxy: UserlandProxy
beforeEach(() => {
  proxy = new UserlandProxy({ udpIdleMs: 300, udpClients: 4 })
})
afterEach(() => proxy.close())

/** Serves a port of the host's `address` that leads to `port` of the container's, and says which. */
async function open(forward: Partial<Forward> & { readonly containerPort: number }): Promise<number> {
  const opened = await proxy.openForward({
    ...{ protocol: 'tcp', address: '::1', port: 0, containerAddress: '127.0.0.1', ...forward },
  })
  return opened.forward.port
}

describeKernel('a TCP forward', () => {
  it.each([
    ['::1', '127.0.0.1'],
    ['::1', '::1'],
    ['127.0.0.1', '::1'],
  ])('leads from %s to %s', async (address, containerAddress) => {
    await using echo = await tcpEcho(containerAddress)
    const client = await connected(address, await open({ address, containerAddress, containerPort: echo.port }))

    expect(await exchange(client, 'hello')).toBe('hello')
    client.end()
    await once(client, 'close')
  })

  // cmd/proxy: TestTCP4ProxyHalfClose
  it('goes on in one direction when the other has ended', async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      void heardFrom(socket).then((heard) => socket.end(`after the end: ${heard.toString()}`))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port: containerPort } = server.address() as { port: number }
    const client = await connected('::1', await open({ containerPort }))

    client.end('all of it')

    expect((await heardFrom(client)).toString()).toBe('after the end: all of it')
    server.close()
  })

  it('goes on towards a container that has said all it has to say', async () => {
    let heard: Promise<Buffer> | undefined
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      heard = heardFrom(socket)
      socket.end('go on')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port: containerPort } = server.address() as { port: number }
    const client = await connected('::1', await open({ containerPort }))

    expect((await heardFrom(client)).toString()).toBe('go on')
    client.end(Buffer.alloc(4_000_000, 'x'))
    await once(client, 'close')

    expect((await heard)?.length).toBe(4_000_000)
    server.close()
  })

  it('holds back who writes to somebody that does not read', async () => {
    const server = createServer((socket) => socket.pause().on('error', () => undefined))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port: containerPort } = server.address() as { port: number }
    const client = await connected('::1', await open({ containerPort }))
    const chunk = Buffer.alloc(1_000_000)

    let isFull = false
    for (let written = 0; written < 64 && !isFull; written++) {
      if (client.write(chunk)) continue
      isFull = await Promise.race([once(client, 'drain').then(() => false), pause(300).then(() => true)])
    }

    expect(isFull).toBe(true)
    client.destroy()
    server.close()
  })

  it('breaks a connection off where nobody listens', async () => {
    const client = await connected('::1', await open({ containerPort: 1 }))

    await expect(once(client, 'data')).rejects.toMatchObject({ code: 'ECONNRESET' })
  })

  it('breaks off on one side what breaks off on the other', async () => {
    await using echo = await tcpEcho('127.0.0.1')
    const client = await connected('::1', await open({ containerPort: echo.port }))
    await exchange(client, 'hello')
    const broken = once(client, 'data')

    for (const socket of echo.sockets) socket.resetAndDestroy()

    await expect(broken).rejects.toMatchObject({ code: 'ECONNRESET' })
  })

  it('ends with its connections, and its port is free', async () => {
    await using echo = await tcpEcho('127.0.0.1')
    const descriptors = countDescriptors()
    const port = await open({ containerPort: echo.port })
    const client = await connected('::1', port)
    await exchange(client, 'hello')
    const broken = once(client, 'data')

    await proxy.close()

    await expect(broken).rejects.toMatchObject({ code: 'ECONNRESET' })
    await expect(connected('::1', port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await expect.poll(countDescriptors).toBe(descriptors)
  })

  it('of many ports leads to as many, and leaves none when one of them is taken', async () => {
    await using echo = await tcpEcho('127.0.0.1')
    const range = { address: '::1', containerPort: echo.port - 1, count: 3 }
    expect(await open({ ...range, port: 21_000 })).toBe(21_000)
    const client = await connected('::1', 21_001)
    expect(await exchange(client, 'hello')).toBe('hello')
    client.destroy()

    await expect(open({ ...range, port: 20_998 })).rejects.toThrow('bind: EADDRINUSE')
    await expect(connected('::1', 20_998)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('has its port beside who holds it on every address', async () => {
    await using echo = await tcpEcho('127.0.0.1')
    using _held = holdPort({ protocol: 'tcp', port: 21_100, isShared: true })
    await using shared = new UserlandProxy({ isShared: true })
    await shared.openForward({
      ...{ protocol: 'tcp', address: '::1', port: 21_100 },
      ...{ containerAddress: '127.0.0.1', containerPort: echo.port },
    })

    const client = await connected('::1', 21_100)
    expect(await exchange(client, 'hello')).toBe('hello')
    client.destroy()
    await expect(connected('127.0.0.1', 21_100)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('serves a socket that listens already', async () => {
    await using echo = await tcpEcho('127.0.0.1')
    const { fd, localAddress } = listenStream({ address: '127.0.0.1', port: 0 })
    const forward = { address: '127.0.0.1', containerAddress: '127.0.0.1', containerPort: echo.port }
    await proxy.openForward({ protocol: 'tcp', port: 0, ...forward }, { fd })

    const client = await connected('127.0.0.1', localAddress.port)
    expect(await exchange(client, 'hello')).toBe('hello')
    client.destroy()
  })
})

describeKernel('a UDP forward', () => {
  // cmd/proxy: TestUDP4Proxy, TestUDP6Proxy
  it.each([
    ['::1', '127.0.0.1'],
    ['::1', '::1'],
    ['127.0.0.1', '::1'],
  ])('leads from %s to %s', async (address, containerAddress) => {
    await using echo = await udpEcho(containerAddress)
    const port = await open({ protocol: 'udp', address, containerAddress, containerPort: echo.port })
    await using client = await udpClient(address, port)

    expect(await ask(client, 'hello')).toBe('hello')
    expect(await ask(client, 'x'.repeat(60_000))).toHaveLength(60_000)
  })

  it.each([
    ['127.0.0.2', '0.0.0.0'],
    ['fd00:5::2', '::'],
  ])('answers from %s, which was asked, on a host with many addresses', async (asked, address) => {
    ip('addr', 'replace', 'fd00:5::2/128', 'dev', 'lo', 'nodad')
    await using echo = await udpEcho('127.0.0.1')
    const port = await open({ protocol: 'udp', address, containerPort: echo.port })
    // Connected: an answer from elsewhere would not be heard.
    await using client = await udpClient(asked, port)

    expect(await ask(client, 'hello')).toBe('hello')
  })

  // cmd/proxy: TestUDPWriteError
  it('answers once somebody listens behind it', async () => {
    const { port: containerPort } = await closedAgain()
    await using client = await udpClient('::1', await open({ protocol: 'udp', containerPort }))
    client.send('nobody hears')
    await pause(50)
    client.send('nobody hears this either')
    await pause(50)

    await using _echo = await udpEcho('127.0.0.1', containerPort)

    expect(await ask(client, 'hello')).toBe('hello')
  })

  it('forgets clients that are silent, and keeps those that are not', async () => {
    await using echo = await udpEcho('127.0.0.1')
    const port = await open({ protocol: 'udp', containerPort: echo.port })
    await using silent = await udpClient('::1', port)
    await using busy = await udpClient('::1', port)
    const descriptors = countDescriptors()
    await ask(silent, 'hello')
    await ask(busy, 'hello')
    expect(countDescriptors()).toBe(descriptors + 2)

    for (let at = 0; at < 10; at++) {
      await pause(50)
      await ask(busy, 'hello')
    }
    expect(countDescriptors()).toBe(descriptors + 1)
    await expect.poll(countDescriptors).toBe(descriptors)
    expect(await ask(silent, 'again')).toBe('again')
  })

  it('has so many clients at a time, and serves who comes next', async () => {
    await using echo = await udpEcho('127.0.0.1')
    const port = await open({ protocol: 'udp', containerPort: echo.port })
    const clients = await Promise.all(Array.from({ length: 8 }, () => udpClient('::1', port)))
    const descriptors = countDescriptors()

    for (const client of clients) expect(await ask(client, 'hello')).toBe('hello')

    expect(countDescriptors()).toBe(descriptors + 4)
    for (const client of clients) await client[Symbol.asyncDispose]()
  })
})

describeKernel('a forward', () => {
  const web = { address: '::1', port: 21_200, containerAddress: '127.0.0.1', containerPort: 80 } as const

  it.skipIf(hasSctp())('of SCTP is refused where the kernel has none, and said to be', async () => {
    const descriptors = countDescriptors()

    await expect(proxy.openForward({ ...web, protocol: 'sctp' })).rejects.toMatchObject({
      code: 'ERR_SCTP_UNSUPPORTED',
      kind: 'not-implemented',
      message: 'unsupported protocol sctp: sctp [::1]:21200 to 127.0.0.1:80',
      cause: { code: 'ERR_SYSTEM_CALL', call: 'socket' },
    })
    expect([proxy.forwards, countDescriptors()]).toEqual([[], descriptors])
  })

  it('is refused where there is one, and once the proxy is closed', async () => {
    await proxy.openForward({ ...web, protocol: 'tcp' })

    await expect(proxy.openForward({ ...web, protocol: 'tcp', containerPort: 81 })).rejects.toMatchObject({
      code: 'ERR_FORWARD_EXISTS',
    })
    expect(proxy.forwards).toEqual([{ ...web, protocol: 'tcp' }])
    await proxy.close()
    await proxy.close()
    await expect(proxy.openForward({ ...web, protocol: 'udp' })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })

  it('comes with all others of a list, or none does', async () => {
    const taken = { ...web, protocol: 'tcp', port: 21_300 } as const
    const { fd } = listenStream({ address: '::1', port: 21_300 })

    await expect(proxy.openForwards([{ ...web, protocol: 'tcp' }, taken])).rejects.toThrow('bind: EADDRINUSE')

    expect(proxy.forwards).toEqual([])
    await expect(connected('::1', 21_200)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await using _taken = createServer().listen({ fd })
  })
})

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}

/** A port that nobody has. */
async function closedAgain(): Promise<{ readonly port: number }> {
  await using echo = await udpEcho('127.0.0.1')
  return { port: echo.port }
}
