import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text as textOf } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { countDescriptors, holdPort, SctpListener } from '@net/netlink-ffi'
import { DescriptorShortage, describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openProxyProcess, UserlandProxy, type Forward } from '../src/index.ts'
import { SctpClient, sctpEcho, type SctpEcho } from './sctp.ts'

await enterFreshHost()

const PROGRAM = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const refused = { message: expect.stringContaining('ECONNREFUSED') as unknown }
const reset = { message: expect.stringContaining('ECONNRESET') as unknown }

let echo: SctpEcho
let proxy: UserlandProxy
beforeEach(async () => {
  echo = await sctpEcho('127.0.0.1')
  proxy = new UserlandProxy()
})
afterEach(async () => {
  await proxy.close()
  await echo[Symbol.asyncDispose]()
})

function forward(changes: Partial<Forward> = {}): Forward {
  const { port: containerPort } = echo
  return { protocol: 'sctp', address: '::1', port: 8080, containerAddress: '127.0.0.1', containerPort, ...changes }
}

/** A client of a new forward. */
async function through(changes?: Partial<Forward>, streams?: number): Promise<SctpClient> {
  const opened = await proxy.openForward(forward(changes))
  return SctpClient.connect(opened.forward.address, opened.forward.port, streams)
}

/** What a client hears that says nothing. It may break off before it is known to be connected. */
async function heard(port: number): Promise<unknown> {
  using client = await SctpClient.connect('::1', port)
  return await client.receive()
}

describeKernel('an SCTP forward', () => {
  it.each([
    ['::1', '127.0.0.1'],
    ['::1', '::1'],
    ['127.0.0.1', '::1'],
  ])('leads from %s to %s', async (address, containerAddress) => {
    await using other = await sctpEcho(containerAddress)
    using client = await through({ address, containerAddress, containerPort: other.port })

    expect(await client.exchange('hello')).toBe('hello')
  })

  it('keeps messages apart, with their streams and payload protocols', async () => {
    using client = await through({}, 40)
    const described = await client.exchange('describe', { stream: 33, protocol: 0x0102_0304 })
    const unordered = await client.exchange('describe this', { stream: 2, protocol: 46, isUnordered: true })
    for (const text of ['one', 'two', 'three']) await client.send(text, { stream: 7, protocol: 60 })
    const answers = [await client.receive(), await client.receive(), await client.receive()]

    expect(described).toBe('stream 33 protocol 16909060 unordered 0 length 8')
    expect(unordered).toBe('stream 2 protocol 46 unordered 1 length 13')
    expect(answers).toEqual(
      ['one', 'two', 'three'].map((text) => ({ text, stream: 7, protocol: 60, isUnordered: false })),
    )
  })

  it('carries long messages whole', async () => {
    using client = await through()
    const long = 'x'.repeat(1_000_000)

    expect(await client.exchange(`describe${'x'.repeat(300_000)}`)).toMatch('length 300008')
    expect((await client.exchange(long))?.length).toBe(long.length)
  })

  it('breaks off at a message that is too long to keep', async () => {
    using client = await through()

    await client.send('x'.repeat(1_100_000))

    await expect(client.receive()).rejects.toMatchObject(reset)
    expect(await echo.said()).toBe('broken off: Connection reset by peer')
  })

  it('ends the container’s side when the client has ended, and not before it has heard all', async () => {
    using client = await through()
    await client.send('count')
    for (let at = 0; at < 500; at++) await client.send('x'.repeat(1000))

    client.socket.close()

    expect(await echo.said()).toBe('ended after 500 messages of 500000 bytes')
  })

  it('ends the client’s side when the container has ended', async () => {
    using client = await through()
    for (const text of ['one', 'two', 'end']) await client.send(text)

    const heard = [await client.receive(), await client.receive(), await client.receive()]

    expect(heard.map((message) => message?.text)).toEqual(['one', 'two', undefined])
  })

  it('breaks off on one side what breaks off on the other', async () => {
    using one = await through()
    await one.send('abort')
    await expect(one.receive()).rejects.toMatchObject(reset)
    expect(await echo.said()).toMatch('ended after 1 messages')

    using other = await SctpClient.connect('::1', 8080)
    await other.exchange('hello')
    other.socket.abort()
    expect(await echo.said()).toBe('broken off: Connection reset by peer')
  })

  it('breaks an association off where nobody listens', async () => {
    await proxy.openForward(forward({ containerPort: 1 }))

    await expect(heard(8080)).rejects.toMatchObject(reset)
  })

  it('has as many streams as the client asks for', async () => {
    using client = await through({}, 20)
    await client.exchange('hello', { stream: 19 })

    expect(() => client.socket.send(Buffer.from('x'), { stream: 20, protocol: 0, isUnordered: false })).toThrow(
      'EINVAL',
    )
    expect(await client.exchange('hello')).toBe('hello')
  })

  it('breaks off where there is no way, and serves who comes next', async () => {
    await proxy.openForward(forward({ containerAddress: '192.0.2.1' }))

    await expect(heard(8080)).rejects.toMatchObject(reset)
    await expect(heard(8080)).rejects.toMatchObject(reset)
  })

  it('has who comes wait while there are no descriptors', async () => {
    await proxy.openForward(forward())
    let client: SctpClient
    {
      using shortage = new DescriptorShortage()
      shortage.giveBack(2)
      const connecting = SctpClient.connect('::1', 8080)
      shortage.takeAll()
      client = await connecting
      await client.send('hello')
      await pause(300)
    }

    expect((await client.receive())?.text).toBe('hello')
    client[Symbol.dispose]()
  })

  it('holds back who sends to somebody that does not read', async () => {
    using client = await through()
    await client.send('stop')

    expect(await fill(client)).toBeLessThan(10_000_000)
  })

  it('serves many at a time, while this process does other things', async () => {
    await proxy.openForward(forward())
    const clients = await Promise.all(Array.from({ length: 20 }, () => SctpClient.connect('::1', 8080)))

    const answers = await Promise.all(
      clients.map(async (client, at) => {
        for (let turn = 0; turn < 20; turn++) expect(await client.exchange(`${at} ${turn}`)).toBe(`${at} ${turn}`)
        return client.exchange(String(at))
      }),
    )

    expect(answers).toEqual(clients.map((_, at) => String(at)))
    for (const client of clients) client[Symbol.dispose]()
  })

  it('ends with its associations, and its port is free', async () => {
    const descriptors = countDescriptors()
    using client = await through()
    await client.exchange('hello')

    await proxy.close()

    await expect(client.receive()).rejects.toMatchObject(reset)
    await expect(SctpClient.connect('::1', 8080)).rejects.toMatchObject(refused)
    client.socket.close()
    await expect.poll(countDescriptors).toBe(descriptors)
    using _again = SctpListener.listen({ address: '::1', port: 8080 })
  })

  it('leaves no descriptor when its clients have gone', async () => {
    await proxy.openForward(forward())
    const descriptors = countDescriptors()
    for (let at = 0; at < 5; at++) {
      using client = await SctpClient.connect('::1', 8080)
      expect(await client.exchange('hello')).toBe('hello')
    }

    await expect.poll(countDescriptors).toBe(descriptors)
  })

  it('has its port beside who holds it on every address, and nobody else has', async () => {
    using held = holdPort({ protocol: 'sctp', port: 8080 })
    expect(() => SctpListener.listen({ address: '::1', port: 8080 })).toThrow('bind: EADDRINUSE')
    await using shared = new UserlandProxy({ isShared: true })
    held.setShared(true)
    await shared.openForward(forward())
    held.setShared(false)

    using client = await SctpClient.connect('::1', 8080)
    expect(await client.exchange('hello')).toBe('hello')
    expect(() => SctpListener.listen({ address: '::1', port: 8080 })).toThrow('bind: EADDRINUSE')
    await expect(SctpClient.connect('127.0.0.1', 8080)).rejects.toMatchObject(refused)
  })
})

describeKernel('a process that serves SCTP', () => {
  let folder: string
  let child: ChildProcess | undefined
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sctp-'))
  })
  afterEach(async () => {
    rmSync(folder, { recursive: true })
    if (child?.exitCode !== null) return
    child.kill('SIGINT')
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  /** Starts the proxy as Docker does. */
  function start(flags: string, listenFd?: number): Promise<string> {
    const stdio = ['ignore', 'inherit', 'inherit', 'pipe', ...(listenFd === undefined ? [] : [listenFd])] as const
    child = spawn(process.execPath, [PROGRAM, ...flags.split(' ')], { stdio: [...stdio] })
    return textOf(child.stdio[3] as Readable)
  }

  it('is controlled as for other protocols', async () => {
    await using process = await openProxyProcess({ folder: join(folder, 'proxy') })
    await process.apply([forward(), forward({ port: 9000, count: 3, containerPort: echo.port - 2 })])
    using client = await SctpClient.connect('::1', 8080)
    using last = await SctpClient.connect('::1', 9002)
    expect([await client.exchange('hello'), await last.exchange('hello')]).toEqual(['hello', 'hello'])

    await process.apply([])

    await expect(client.receive()).rejects.toMatchObject(reset)
  })

  it('is one in the place of docker-proxy', async () => {
    const target = `-container-ip 127.0.0.1 -container-port ${echo.port}`
    expect(await start(`-proto sctp -host-ip ::1 -host-port 8080 ${target}`)).toBe('0\n')

    using client = await SctpClient.connect('::1', 8080)
    expect(await client.exchange('hello')).toBe('hello')
  })

  it('spends no time on those who wait', async () => {
    const target = `-container-ip 127.0.0.1 -container-port ${echo.port}`
    await start(`-proto sctp -host-ip ::1 -host-port 8080 ${target}`)
    using client = await SctpClient.connect('::1', 8080)
    await client.send('stop')
    await fill(client)
    const before = processorTime(child?.pid)

    await pause(3000)

    expect(processorTime(child?.pid) - before).toBeLessThan(300)
  })

  it('takes a socket that is bound already', async () => {
    using bound = SctpListener.listen({ address: '127.0.0.1', port: 8080 })
    const target = `-container-ip 127.0.0.1 -container-port ${echo.port}`
    expect(await start(`-proto sctp -host-ip 127.0.0.1 -host-port 8080 ${target} -use-listen-fd`, bound.fd)).toBe('0\n')
    bound.close()

    using client = await SctpClient.connect('127.0.0.1', 8080)
    expect(await client.exchange('hello')).toBe('hello')
  })
})

/** Sends until nothing more is taken for half a second. Returns how many bytes that was. */
async function fill({ socket }: SctpClient): Promise<number> {
  const message = Buffer.alloc(10_000)
  let bytes = 0
  for (let quiet = 0; quiet < 10; quiet++) {
    for (; socket.send(message, { stream: 0, protocol: 0, isUnordered: false }); quiet = 0) bytes += message.length
    await pause(50)
  }
  return bytes
}

/** What a process has used, in milliseconds: of /proc/PID/stat, utime and stime, in hundredths of a second. */
function processorTime(pid = 0): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}
