import { spawn, type ChildProcess } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hasSctp } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type ControllerEvent, type ControllerOptions } from '../src/index.ts'
import { traces, type Traces } from './lab.ts'

await enterFreshHost()

/** Answers on port 80 with what it is told, by TCP and UDP, over both families. */
const ECHO = `
  const udp = require('dgram').createSocket('udp6')
  udp.on('message', (message, from) => udp.send(message, from.port, from.address)).bind(80, '::')
  const server = require('net').createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined).pipe(socket)
  })
  server.listen(80, '::', () => console.log('ready'))
`
const KEEPER = fileURLToPath(new URL('keeper.mjs', import.meta.url))

let before: Traces
let folder: string
let net: Controller
let servers: ChildProcess[]

const places = (): Pick<ControllerOptions, 'stateDirectory' | 'runtimeDirectory'> => ({
  stateDirectory: join(folder, 'state'),
  runtimeDirectory: join(folder, 'run'),
})
const open = async (options: ControllerOptions = {}): Promise<Controller> => {
  net = await openController({ ...places(), userlandProxy: 'auto', ...options })
  return net
}

beforeEach(() => {
  before = traces()
  folder = mkdtempSync(join(tmpdir(), 'loopback-'))
  servers = []
})
afterEach(async () => {
  await net.close()
  const last = await open({ onClose: 'delete' })
  await last.close()
  await Promise.all(servers.map((server) => ended(server)))
  expect(traces()).toEqual(before)
  expect(existsSync(join(folder, 'run')) ? readdirSync(join(folder, 'run')) : []).toEqual([])
  await expect.poll(proxies).toEqual([])
  rmSync(folder, { recursive: true })
})

/** Starts the server in the namespace at `key`, as a process of this test's: it outlives the controller. */
async function serve(key: string): Promise<void> {
  const server = spawn('nsenter', [`--net=${key}`, process.execPath, '-e', ECHO], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  servers.push(server)
  await once(server.stdout, 'data')
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** Ids of the proxy processes of this test's controllers. */
function proxies(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) && isProxy(name) ? Number(name) : []))
}

function isProxy(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`--control\0${folder}`)
  } catch {
    return false // it has ended meanwhile
  }
}

async function connected(port: number, host = '::1'): Promise<Socket> {
  const socket = connect({ host, port, allowHalfOpen: true })
  await once(socket, 'connect')
  return socket.on('error', () => undefined)
}

async function exchange(socket: Socket, text: string): Promise<string> {
  socket.write(text)
  const [heard] = (await once(socket, 'data')) as [Buffer]
  return heard.toString()
}

/** What comes back from the port of `host`, or the error's code. */
async function answer(port: number | undefined, host?: string): Promise<string | undefined> {
  let socket: Socket | undefined
  try {
    socket = await connected(port ?? 0, host)
    return await exchange(socket, 'hello')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  } finally {
    socket?.destroy()
  }
}

/** As {@link answer}, by UDP. */
async function answerByUdp(port: number): Promise<string> {
  const socket = createSocket('udp6')
  const again = setInterval(() => {
    socket.send('hello', port, '::1')
  }, 50)
  try {
    const [heard] = (await once(socket, 'message')) as [Buffer]
    return heard.toString()
  } finally {
    clearInterval(again)
    socket.close()
  }
}

async function attach(ports: readonly object[], ipv6 = false): ReturnType<Controller['attach']> {
  const network = net.findNetwork('blue') ?? (await net.createNetwork({ name: 'blue', ipv6 }))
  const attachment = await net.attach({
    network,
    endpoint: { name: 'web', ports: ports as never },
    sandbox: { containerId: 'web' },
  })
  await serve(attachment.sandbox.key)
  return attachment
}

async function said(kind: ControllerEvent['kind']): Promise<ControllerEvent[]> {
  const events: ControllerEvent[] = []
  for await (const event of net.events({ after: 0, signal: AbortSignal.timeout(50) })) events.push(event)
  return events.filter((event) => event.kind === kind)
}

describeKernel('a published port at ::1', () => {
  it('does not answer where no proxy is asked for, and no process is started', async () => {
    await open({ userlandProxy: undefined })
    const { endpoint } = await attach([{ containerPort: 80 }])
    const port = endpoint.ports()[0]?.hostPort

    expect([await answer(port, '127.0.0.1'), await answer(port)]).toEqual(['hello', 'ECONNREFUSED'])
    expect(proxies()).toEqual([])
  })

  it.each([
    ['IPv4 alone', false],
    ['both families', true],
  ])('leads to a container with %s, by TCP and UDP', async (_what, ipv6) => {
    await open()
    const ports = [
      { containerPort: 80, hostPort: 8080 },
      { containerPort: 80, hostPort: 8080, protocol: 'udp' },
    ]
    await attach(ports, ipv6)

    expect([await answer(8080), await answerByUdp(8080), await answer(8080, '127.0.0.1')]).toEqual(
      Array.from({ length: 3 }, () => 'hello'),
    )
    expect(proxies()).toHaveLength(1)
  })

  it('goes on in one direction when the other has ended', async () => {
    await open()
    await attach([{ containerPort: 80, hostPort: 8080 }])
    const client = await connected(8080)

    client.end('all of it')
    const [heard] = (await once(client, 'data')) as [Buffer]

    expect(heard.toString()).toBe('all of it')
  })

  it.skipIf(hasSctp())('of SCTP is left to rules alone where the kernel has no sockets for it', async () => {
    await open()
    const { endpoint } = await attach([{ containerPort: 80, hostPort: 8080, protocol: 'sctp' }])
    expect([endpoint.ports(), proxies()]).toEqual([[expect.objectContaining({ protocol: 'sctp', hostPort: 8080 })], []])

    await endpoint.publish([{ containerPort: 80, hostPort: 8080 }])

    expect([await answer(8080), proxies().length]).toEqual(['hello', 1])
  })

  it('is one of those that are published, and no longer than they are', async () => {
    await open()
    const { endpoint } = await attach([{ containerPort: 80, hostPort: 8080, hostAddress: '127.0.0.1' }])
    expect([await answer(8080), proxies()]).toEqual(['ECONNREFUSED', []])

    await endpoint.publish([
      { containerPort: 80, hostPort: 8081 },
      { containerPort: 80, containerPortEnd: 89, hostPort: 9000 },
    ])
    expect([await answer(8081), await answer(9000)]).toEqual(['hello', 'hello'])

    await endpoint.unpublish([{ containerPort: 80, hostPort: 8081 }])
    expect([await answer(8081), await answer(9000)]).toEqual(['ECONNREFUSED', 'hello'])

    await endpoint.leave(net.getSandbox('web'))
    expect(await answer(9000)).toBe('ECONNREFUSED')
    await expect.poll(proxies).toEqual([])
    await endpoint.join(net.getSandbox('web'))
    expect(await answer(9000)).toBe('hello')
  })

  it('alone can be published', async () => {
    await open()
    const ports = [{ containerPort: 80, hostPort: 8080, hostAddress: '::1' }]
    await attach([...ports, { ...ports[0], protocol: 'udp' }], true)

    expect([await answer(8080), await answerByUdp(8080), await answer(8080, '127.0.0.1')]).toEqual([
      'hello',
      'hello',
      'ECONNREFUSED',
    ])
  })

  it('is held against others as it is without a proxy', async () => {
    await open()
    await attach([{ containerPort: 80, hostPort: 8080 }])

    for (const host of ['::', '::1', '127.0.0.1']) {
      const thief = createServer().listen(8080, host)
      await expect(once(thief, 'listening')).rejects.toMatchObject({ code: 'EADDRINUSE' })
    }
    const other = await openController({ userlandProxy: 'auto', runtimeDirectory: join(folder, 'other') })
    const red = await other.createNetwork({ name: 'red' })
    await expect(
      red.createEndpoint({ name: 'web', ports: [{ containerPort: 80, hostPort: 8080 }] }),
    ).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE' })
    await other.close()
  })

  it('answers again when its proxy was killed, which is told, and is held all the time', async () => {
    await open()
    await attach([
      { containerPort: 80, hostPort: 8080 },
      { containerPort: 80, hostPort: 8080, protocol: 'udp' },
      { containerPort: 80, containerPortEnd: 89, hostPort: 9000 },
    ])
    const [pid] = proxies()

    process.kill(pid!, 'SIGKILL')
    await expect.poll(() => said('proxy-restored'), { timeout: 5000 }).toHaveLength(1)

    expect([await answer(8080), await answerByUdp(8080), await answer(9000)]).toEqual(['hello', 'hello', 'hello'])
    expect(await said('proxy-lost')).toHaveLength(1)
    expect(proxies()).not.toContain(pid)
    for (const host of ['::', '::1']) {
      await expect(once(createServer().listen(8080, host), 'listening')).rejects.toMatchObject({ code: 'EADDRINUSE' })
    }
  })

  it('is published though its proxy is killed meanwhile', async () => {
    await open()
    const { endpoint } = await attach([{ containerPort: 80, hostPort: 8080 }])
    const [pid] = proxies()
    process.kill(pid!, 'SIGSTOP')
    const published = endpoint.publish([{ containerPort: 80, hostPort: 8081 }])
    process.kill(pid!, 'SIGKILL')

    await published

    expect([await answer(8080), await answer(8081)]).toEqual(['hello', 'hello'])
    expect(proxies()).toHaveLength(1)
  })

  it('leads to a range that is too large for sockets to hold', async () => {
    await open()
    const range = { containerPort: 80, containerPortEnd: 2079, hostPort: 20_000 }
    const { endpoint } = await attach([range])
    expect(await answer(20_000)).toBe('hello')

    await endpoint.unpublish([range])

    expect(await answer(20_000)).toBe('ECONNREFUSED')
  })

  it('is not published at all when its proxy cannot be started', async () => {
    await open()
    const { endpoint } = await attach([])
    const inTheWay = join(folder, 'run', net.id, 'proxy')
    writeFileSync(inTheWay, '')
    const ports = [{ containerPort: 80, hostPort: 8080 }]

    await expect(endpoint.publish(ports)).rejects.toMatchObject({ code: 'ERR_PROXY_START' })

    expect([endpoint.ports(), await answer(8080, '127.0.0.1')]).toEqual([[], 'ECONNREFUSED'])
    rmSync(inTheWay)
    await endpoint.publish(ports)
    expect(await answer(8080)).toBe('hello')
  })
})

describeKernel('a controller that goes', () => {
  it('is survived by its proxy, and finds it again with what goes through it', async () => {
    await open()
    await attach([
      { containerPort: 80, hostPort: 8080 },
      { containerPort: 80, hostPort: 8080, hostAddress: undefined, protocol: 'udp' },
    ])
    const client = await connected(8080)
    expect(await exchange(client, 'before')).toBe('before')
    const [pid] = proxies()
    await net.close()
    expect(await exchange(client, 'meanwhile')).toBe('meanwhile')

    await open()

    expect(await said('port-lost')).toEqual([])
    expect(proxies()).toEqual([pid])
    expect([await exchange(client, 'after'), await answer(8080), await answerByUdp(8080)]).toEqual([
      'after',
      'hello',
      'hello',
    ])
    const thief = createServer().listen(8080, '::')
    await expect(once(thief, 'listening')).rejects.toMatchObject({ code: 'EADDRINUSE' })
    client.destroy()
  })

  it('is survived by connections through its proxy when it is killed', async () => {
    const keeper = spawn(process.execPath, [KEEPER, ...Object.values(places()).map(String)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const [line] = (await once(keeper.stdout, 'data')) as [Buffer]
    const { key, port } = JSON.parse(line.toString()) as { key: string; port: number }
    await serve(key)
    const client = await connected(port)
    expect(await exchange(client, 'before')).toBe('before')

    await ended(keeper)
    expect([await exchange(client, 'meanwhile'), await answer(port)]).toEqual(['meanwhile', 'hello'])

    await open()
    expect([await exchange(client, 'after'), await answer(port)]).toEqual(['after', 'hello'])
    await net.getSandbox('web').delete()
    expect(await answer(port)).toBe('ECONNREFUSED')
    client.destroy()
  })

  it.each([0, 20, 200])('is opened again with a proxy, if that was killed %i ms before it went', async (delayMs) => {
    await open()
    await attach([{ containerPort: 80, hostPort: 8080 }])
    process.kill(proxies()[0]!, 'SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, delayMs))
    await net.close()

    await open()

    expect([await answer(8080), await said('proxy-lost')]).toEqual(['hello', []])
    expect(proxies()).toHaveLength(1)
  })

  it('ends its proxy when it is opened without, and starts one when it is opened with', async () => {
    await open({ userlandProxy: 'off' })
    await attach([{ containerPort: 80, hostPort: 8080 }])
    expect(await answer(8080)).toBe('ECONNREFUSED')
    await net.close()

    await open({ userlandProxy: 'auto' })
    expect(await answer(8080)).toBe('hello')
    await net.close()

    await open({ userlandProxy: 'off' })
    expect([await answer(8080), await answer(8080, '127.0.0.1')]).toEqual(['ECONNREFUSED', 'hello'])
    expect(await said('port-lost')).toEqual([])
    await expect.poll(proxies).toEqual([])
  })

  it('keeps ranges too large for sockets, though its proxy has them', async () => {
    await open({ ports: { holdAtMost: 0 } })
    await attach([{ containerPort: 80, containerPortEnd: 89, hostPort: 9000 }])
    await net.close()

    await open({ ports: { holdAtMost: 0 } })

    expect([await answer(9000), await said('port-lost')]).toEqual(['hello', []])
  })
})
