import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { NetworkDriver } from '@net/driverapi'
import { countDescriptors, listBoundSockets } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, nftRuleset } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Attachment, type Controller, type Network, type PortRequest } from '../src/index.ts'
import { expectNothingLeft, fetchFromHost, spoiledDriver, traces, type Traces } from './lab.ts'

await enterFreshHost()

/** A driver that fails once the ports of a running endpoint are taken. */
let isSpoiled = false
const spoiled: NetworkDriver = {
  ...spoiledDriver({}),
  planPorts: (...args) => {
    const facts = spoiledDriver({}).planPorts(...args)
    return isSpoiled ? [...facts, ...facts] : facts
  },
}

let before: Traces
let net: Controller
let network: Network
let attached: Attachment
beforeEach(async () => {
  before = traces()
  isSpoiled = false
  net = await openController({ drivers: [spoiled] })
  const ipam = { pools: [{ pool: '10.77.0.0/24' }, { pool: 'fd77::/64' }] }
  network = await net.createNetwork({ name: 'n', driver: 'spoiled', ipv6: true, ipam })
  attached = await net.attach({ network, endpoint: { name: 'one' }, sandbox: { containerId: 'c' } })
})
afterEach(async () => {
  await expectNothingLeft(net, before)
})

const ANSWER = `
  for (const port of process.argv.slice(1).map(Number)) {
    const server = require('http').createServer((request, response) => response.end(String(port)))
    server.listen(port, '::', () => console.log('ready'))
  }
`

/** Answers with its number on each of the container's ports. */
async function serve(...ports: readonly number[]): Promise<AsyncDisposable> {
  const child = attached.sandbox.spawn(process.execPath, ['-e', ANSWER, ...ports.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let heard = ''
  child.stdout!.on('data', (chunk: Buffer) => (heard += chunk.toString()))
  await expect.poll(() => heard.match(/ready/g)?.length, { timeout: 10_000 }).toBe(ports.length)
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill()
      await once(child, 'exit')
    },
  }
}

/** The elements of a set or map, as `nft` says them. */
function elements(name: string): unknown[] {
  const { nftables } = nftRuleset() as { nftables: { map?: NftSet; set?: NftSet }[] }
  const found = nftables.map(({ map, set }) => map ?? set).find((set) => set?.name === name)
  return (found?.elem ?? []) as unknown[]
}
interface NftSet {
  readonly name: string
  readonly elem?: unknown
}

const heldPorts = (first: number, last: number): number[] =>
  listBoundSockets('udp')
    .map(({ port }) => port)
    .filter((port) => port >= first && port <= last)

describeKernel('publishing a range of ports', () => {
  it('leads each of them to the container, over both families, onto equal ports and others', async () => {
    await using _server = await serve(8000, 8050, 8099, 80, 179)
    const { endpoint } = attached

    const ports = await endpoint.publish([
      { containerPort: 8000, containerPortEnd: 8099, hostPort: 8000, hostPortEnd: 8099 },
      { containerPort: 8000, containerPortEnd: 8099, hostPort: 7000 },
      { containerPort: 80, containerPortEnd: 179, hostPort: 9000 },
    ])

    expect(ports).toEqual([
      { protocol: 'tcp', containerPort: 8000, hostPort: 8000, count: 100 },
      { protocol: 'tcp', containerPort: 8000, hostPort: 7000, count: 100 },
      { protocol: 'tcp', containerPort: 80, hostPort: 9000, count: 100 },
    ])
    expect(endpoint.ports()).toEqual(ports)
    for (const host of ['127.0.0.1', '10.77.0.1', '[fd77::1]']) {
      for (const [asked, answered] of [
        [8000, 8000],
        [8050, 8050],
        [8099, 8099],
        [7000, 8000],
        [7099, 8099],
        [9000, 80],
        [9099, 179],
      ] as const) {
        expect(await fetchFromHost(`http://${host}:${asked}/`)).toBe(String(answered))
      }
    }
    await endpoint.unpublish([
      { containerPort: 8000, containerPortEnd: 8099 },
      { containerPort: 80, containerPortEnd: 179, hostPort: 9000 },
    ])
    expect(endpoint.ports()).toEqual([])
    await expect(fetchFromHost('http://10.77.0.1:8050/')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('that nobody chose gets as many free ones in a row, the same over both families', async () => {
    await using _server = await serve(8000, 8099)
    await attached.detach()
    const request: PortRequest = { containerPort: 8000, containerPortEnd: 8099 }
    attached = await net.attach({
      network,
      endpoint: { name: 'two', ports: [request, { ...request, protocol: 'udp' }] },
      sandbox: { containerId: 'd' },
    })
    await using _again = await serve(8000, 8099)

    const [tcp, udp] = attached.endpoint.ports()

    expect(tcp).toMatchObject({ protocol: 'tcp', containerPort: 8000, count: 100 })
    expect(udp).toMatchObject({ protocol: 'udp', containerPort: 8000, count: 100 })
    for (const host of ['10.77.0.1', '[fd77::1]']) {
      expect(await fetchFromHost(`http://${host}:${tcp!.hostPort}/`)).toBe('8000')
      expect(await fetchFromHost(`http://${host}:${tcp!.hostPort + 99}/`)).toBe('8099')
    }
    expect(heldPorts(udp!.hostPort, udp!.hostPort + 99)).toHaveLength(100)
  })

  it('of the host for one of the container gets the first that is free', async () => {
    const request: PortRequest = { containerPort: 80, hostPort: 8080, hostPortEnd: 8081 }

    const got = [await attached.endpoint.publish([request]), await attached.endpoint.publish([request])]

    expect(got.flat().map(({ hostPort }) => hostPort)).toEqual([8080, 8081])
    await expect(attached.endpoint.publish([request])).rejects.toMatchObject({ code: 'ERR_NO_PORT_AVAILABLE' })
  })

  it('of sixty thousand is one element a family and no socket', async () => {
    const sockets = countDescriptors()

    await attached.endpoint.publish([{ containerPort: 1000, containerPortEnd: 60_999, hostPort: 1000 }])

    expect(countDescriptors()).toBe(sockets)
    expect(elements('ranges4')).toEqual([
      [{ concat: [{ prefix: { addr: '0.0.0.0', len: 0 } }, 'tcp', { range: [1000, 60_999] }] }, '10.77.0.2'],
    ])
    expect(elements('ranges6')).toHaveLength(1)
    await attached.endpoint.unpublish([{ containerPort: 1000, containerPortEnd: 60_999 }])
    expect(elements('ranges4')).toEqual([])
  })

  it('of SCTP has its rules, and no sockets where the kernel has none', async () => {
    await attached.endpoint.publish([
      { protocol: 'sctp', containerPort: 8000, containerPortEnd: 8099, hostPort: 8000 },
      { protocol: 'sctp', containerPort: 80, containerPortEnd: 179, hostPort: 9000 },
      { protocol: 'sctp', containerPort: 36_412, hostPort: 36_412 },
    ])

    expect(JSON.stringify(elements('ranges4'))).toContain('"sctp",{"range":[8000,8099]}')
    expect(JSON.stringify(elements('shifted6'))).toContain('"sctp",{"range":[9000,9099]}')
    expect(JSON.stringify(elements('ports4'))).toContain('"sctp",36412')
  })

  it('interrupts nothing that goes through others', async () => {
    const { endpoint, sandbox } = attached
    const echo = sandbox.spawn(
      process.execPath,
      ['-e', "require('net').createServer((s) => s.pipe(s)).listen(5000, '::', () => console.log('ready'))"],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    await once(echo.stdout!, 'data')
    await endpoint.publish([{ containerPort: 5000, containerPortEnd: 5099, hostPort: 6000 }])
    const socket = connect(6000, '10.77.0.1')
    const say = async (text: string): Promise<string> => {
      socket.write(text)
      const [chunk] = (await once(socket, 'data')) as [Buffer]
      return chunk.toString()
    }
    expect(await say('one')).toBe('one')

    await endpoint.publish([
      { containerPort: 4000, containerPortEnd: 4999, hostPort: 4000 },
      { protocol: 'udp', containerPort: 5000, containerPortEnd: 5099, hostPort: 6000 },
    ])
    expect(await say('two')).toBe('two')
    await endpoint.unpublish([
      { containerPort: 4000, containerPortEnd: 4999 },
      { protocol: 'udp', containerPort: 5000, containerPortEnd: 5099 },
    ])
    expect(await say('three')).toBe('three')

    socket.destroy()
    echo.kill()
    await once(echo, 'exit')
  })
})

describeKernel('publishing a range of ports is refused', () => {
  it.each<[PortRequest, string]>([
    [{ containerPort: 8000, containerPortEnd: 7999 }, 'ERR_INVALID_REQUEST'],
    [{ containerPort: 8000, containerPortEnd: 8099, hostPort: 9000, hostPortEnd: 9100 }, 'ERR_INVALID_REQUEST'],
    [{ containerPort: 8000, containerPortEnd: 8099, hostPort: 65_437 }, 'ERR_INVALID_REQUEST'],
    [
      { containerPort: 8000, containerPortEnd: 8099, hostPort: 9000, hostAddress: '192.0.2.77' },
      'ERR_NOT_HOST_ADDRESS',
    ],
    [
      { containerPort: 8000, containerPortEnd: 9999, hostPort: 9000, hostAddress: '192.0.2.77' },
      'ERR_NOT_HOST_ADDRESS',
    ],
    [{ containerPort: 8000, containerPortEnd: 8099, hostPort: 5950 }, 'ERR_PORT_IN_USE'],
    [{ containerPort: 8000, containerPortEnd: 10_000, hostPort: 5000 }, 'ERR_PORT_IN_USE'],
  ])('as %j, and nothing changes', async (request, code) => {
    const { endpoint } = attached
    const published = await endpoint.publish([{ containerPort: 6000, containerPortEnd: 6099, hostPort: 6000 }])
    const now = traces()
    const sockets = countDescriptors()

    await expect(endpoint.publish([{ containerPort: 1, hostPort: 2000 }, request])).rejects.toMatchObject({ code })

    expect(endpoint.ports()).toEqual(published)
    expect(traces()).toEqual(now)
    expect(countDescriptors()).toBe(sockets)
  })

  it.each([100, 2000])('where a program of the host has one of its %d ports, and names it', async (count) => {
    const program = spawn(
      process.execPath,
      [
        '-e',
        "require('net').createServer().listen(8050, '127.0.0.1', () => console.log('ready')); process.title = 'squatter'",
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    await once(program.stdout, 'data')
    const now = traces()
    const sockets = countDescriptors()

    await expect(
      attached.endpoint.publish([{ containerPort: 8000, containerPortEnd: 8000 + count - 1, hostPort: 8000 }]),
    ).rejects.toMatchObject({
      code: 'ERR_PORT_IN_USE',
      port: 8050,
      process: { pid: program.pid },
      message: expect.stringContaining(
        `tcp port 8050 of every address is held by squatter (process ${program.pid!})`,
      ) as string,
    })

    expect(traces()).toEqual(now)
    expect(countDescriptors()).toBe(sockets)
    program.kill()
    await once(program, 'exit')
  })

  it('where the rules cannot be made, and its ports are let go', async () => {
    const now = traces()
    const sockets = countDescriptors()
    isSpoiled = true

    await expect(
      attached.endpoint.publish([
        { containerPort: 8000, containerPortEnd: 8099, hostPort: 8000 },
        { containerPort: 80, containerPortEnd: 179, hostPort: 9000 },
      ]),
    ).rejects.toMatchObject({ code: 'ERR_PORT_PUBLISHED' })

    expect(attached.endpoint.ports()).toEqual([])
    expect(traces()).toEqual(now)
    expect(countDescriptors()).toBe(sockets)
    for (const port of [8000, 8099, 9050]) await listen(port)
  })

  it('where a later step of attaching fails, and its ports are let go', async () => {
    const now = traces()
    const sockets = countDescriptors()
    const ports = [{ containerPort: 8000, containerPortEnd: 8099, hostPort: 8000 }]

    await expect(
      net.attach({ network, endpoint: { name: 'two', ports }, sandbox: { containerId: 'c' } }),
    ).rejects.toMatchObject({ code: 'ERR_CONTAINER_HAS_SANDBOX' })

    expect(network.endpoints()).toHaveLength(1)
    expect(traces()).toEqual(now)
    expect(countDescriptors()).toBe(sockets)
    for (const port of [8000, 8099]) await listen(port)
  })

  it('where two of one request overlap', async () => {
    const ports = [8000, 8050].map((hostPort) => ({ containerPort: 8000, containerPortEnd: 8099, hostPort }))

    await expect(attached.endpoint.publish(ports)).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE', port: 8050 })

    expect(attached.endpoint.ports()).toEqual([])
    for (const port of [8000, 8099, 8149]) await listen(port)
  })

  it('to be taken back in part', async () => {
    const { endpoint } = attached
    await endpoint.publish([{ containerPort: 8000, containerPortEnd: 8099, hostPort: 8000 }])

    for (const request of [
      { containerPort: 8000 },
      { containerPort: 8000, hostPort: 8000 },
      { containerPort: 8000, containerPortEnd: 8050 },
      { containerPort: 8000, containerPortEnd: 8099, hostPort: 8001 },
    ]) {
      await expect(endpoint.unpublish([request])).rejects.toMatchObject({ code: 'ERR_PORT_NOT_PUBLISHED' })
    }
    await endpoint.unpublish([{ containerPort: 8000, containerPortEnd: 8099, hostPort: 8000, hostPortEnd: 8099 }])
  })
})

function listen(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, () => {
      server.close(() => {
        resolve()
      })
    })
  })
}
