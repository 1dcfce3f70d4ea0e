import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Firewall, FirewallChange, JoinPlan, PortFact } from '@net/driverapi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import type { AddressFamily } from '@net/types'
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest'
import { Executor, inSandbox } from '../src/index.ts'

await enterFreshHost()

const HOST_PORT = 5353
const CONTAINER_PORT = 5300
const host = { 4: '10.21.0.1', 6: 'fd21::1' } as const
const container = { 4: '10.21.0.2', 6: 'fd21::2' } as const
const bridge = 'br-flows'
const folder = mkdtempSync(join(tmpdir(), 'flows-'))
let count = 0

/** Port facts as the rules of a table of `nft`, for what the host itself sends. */
class NftFirewall implements Firewall {
  change({ add = [], remove = [] }: FirewallChange): Promise<void> {
    if (remove.length > 0) nft('flush chain inet ports output')
    for (const fact of add) if (fact.kind === 'port') nft(`add rule inet ports output ${translation(fact)}`)
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function nft(command: string): void {
  execFileSync('nft', [command])
}

function translation({ protocol, hostPort, containerAddress, containerPort }: PortFact): string {
  return containerAddress.includes(':')
    ? `ip6 daddr ${host[6]} ${protocol} dport ${hostPort} dnat ip6 to [${containerAddress}]:${containerPort}`
    : `ip daddr ${host[4]} ${protocol} dport ${hostPort} dnat ip to ${containerAddress}:${containerPort}`
}

const factOf = (family: AddressFamily, ports = 1): PortFact => ({
  ...{ kind: 'port', protocol: 'udp', hostPort: HOST_PORT },
  ...{ containerAddress: container[family], containerPort: CONTAINER_PORT, count: ports },
})

/** A port alone, and as the first of a range. */
const publications = ([4, 6] as const).flatMap((family) => [1, 1000].map((ports) => ({ family, ports })))

/** A container of this number; all of them have the same addresses. */
const planOf = (number: number, facts: readonly PortFact[]): JoinPlan => ({
  sandbox: {
    links: [
      {
        create: { kind: 'veth', hostName: `vethflow${number}`, master: bridge },
        ...{ name: 'eth0', macAddress: '02:42:0a:15:00:02', addresses: [`${container[4]}/24`, `${container[6]}/64`] },
        ...{ routes: [], neighbours: [], sysctls: [] },
      },
    ],
    gateways: {},
  },
  firewall: facts,
  ports: [],
})

let executor: Executor
const programs: ChildProcess[] = []
const sockets: Socket[] = []

beforeEach(async () => {
  nft('add table inet ports; add chain inet ports output { type nat hook output priority -100; }')
  // The kernel tracks for as long as any rule asks about it.
  nft(
    'add chain inet ports tracking { type filter hook output priority 0; }; add rule inet ports tracking ct state new',
  )
  executor = Executor.open({ owner: 'net:flows' }, { firewall: new NftFirewall() })
  const addresses = [`${host[4]}/24`, `${host[6]}/64`]
  await executor.createNetwork({
    links: [{ kind: 'bridge', name: bridge, macAddress: '02:42:00:00:00:21', addresses }],
    ...{ sysctls: [{ path: `net/ipv6/conf/${bridge}/accept_dad`, value: '0' }], firewall: [] },
  })
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close()
  for (const program of programs.splice(0)) {
    program.stdin?.end()
    await once(program, 'exit')
  }
  await executor.deleteNetwork({
    links: [{ kind: 'bridge', name: bridge, macAddress: '', addresses: [] }],
    sysctls: [],
    firewall: [],
  })
  await executor.close()
  nft('flush ruleset')
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** A container that notes down what it is sent. */
async function start(plan: JoinPlan, family: AddressFamily): Promise<{ key: string; heard: string[] }> {
  const key = join(folder, `container${count++}`)
  await executor.createSandbox(key)
  await executor.join(key, plan)
  const script = `
    const socket = require('node:dgram').createSocket('udp${family}')
    socket.on('message', (message) => console.log(String(message)))
    socket.bind(${CONTAINER_PORT}, () => console.log('ready'))
    process.stdin.resume().on('end', () => process.exit())`
  const program = inSandbox(key, () => spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] }))
  programs.push(program)
  const heard: string[] = []
  createInterface({ input: program.stdout }).on('line', (line) => heard.push(line))
  await expect.poll(() => heard, { timeout: 10_000 }).toEqual(['ready'])
  return { key, heard }
}

async function bound(family: AddressFamily, port = 0): Promise<Socket> {
  const socket = createSocket(`udp${family}`)
  sockets.push(socket)
  socket.bind({ port, address: host[family] })
  await once(socket, 'listening')
  return socket
}

/** A program of the host on the published port, and a client that always sends from the same port. */
async function talk(family: AddressFamily): Promise<{ say: (text: string) => void; heard: string[] }> {
  const heard: string[] = []
  const server = await bound(family, HOST_PORT)
  server.on('message', (message) => heard.push(String(message)))
  const client = await bound(family)
  return {
    heard,
    say: (text) => {
      client.send(text, HOST_PORT, host[family])
    },
  }
}

describeKernel('a UDP flow', () => {
  it.each(publications)(
    'ends with the publication of its port, one of $ports, over IPv$family',
    async ({ family, ports }) => {
      const fact = factOf(family, ports)
      const { key, heard } = await start(planOf(1, [fact]), family)
      const client = await talk(family)
      client.say('one')
      await expect.poll(() => heard).toContain('one')

      await executor.changeFirewall({ remove: [fact] })
      client.say('two')

      await expect.poll(() => client.heard).toEqual(['two'])
      expect(heard).not.toContain('two')
      await executor.deleteSandbox(key, [planOf(1, [])])
    },
  )

  it.each([4, 6] as const)('does not reach who gets the address next, over IPv%i', async (family) => {
    const first = await start(planOf(1, [factOf(family)]), family)
    const client = await talk(family)
    client.say('one')
    await expect.poll(() => first.heard).toContain('one')

    await executor.deleteSandbox(first.key, [planOf(1, [factOf(family)])])
    const second = await start(planOf(2, []), family)
    client.say('two')

    await expect.poll(() => client.heard).toEqual(['two'])
    expect(second.heard).toEqual(['ready'])
    await executor.leave(second.key, planOf(2, []))
    await executor.deleteSandbox(second.key, [])
  })

  it.each(publications)(
    'that began before its port is led there, one of $ports, over IPv$family',
    async ({ family, ports }) => {
      const { key, heard } = await start(planOf(1, []), family)
      const client = await talk(family)
      client.say('one')
      await expect.poll(() => client.heard).toEqual(['one'])

      await executor.changeFirewall({ add: [factOf(family, ports)] })
      client.say('two')

      await expect.poll(() => heard).toContain('two')
      await executor.deleteSandbox(key, [planOf(1, [factOf(family, ports)])])
    },
  )

  it.each([4, 6] as const)('of a port beside the range goes on, over IPv%i', async (family) => {
    const { key, heard } = await start(planOf(1, [factOf(family)]), family)
    const client = await talk(family)
    client.say('one')
    await expect.poll(() => heard).toContain('one')

    const beside = { ...factOf(family, 1000), hostPort: HOST_PORT + 1 }
    const below = { ...factOf(family, 1000), hostPort: HOST_PORT - 1000 }
    await executor.changeFirewall({ remove: [below, beside] })
    nft('flush chain inet ports output')
    client.say('two')

    await expect.poll(() => heard).toContain('two')
    await executor.deleteSandbox(key, [planOf(1, [])])
  })
})
