import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describeKernel, enterFreshHost, ip, SystemCallFaults } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openController, type Controller, type ControllerDescription, type Network } from '../src/index.ts'
import {
  attachPublished,
  attachWithRange,
  expectNothingLeft,
  outputOf,
  plain,
  StateFolder,
  traces,
  type Traces,
} from './lab.ts'

await enterFreshHost()

const DESCRIBED = fileURLToPath(new URL('described.mjs', import.meta.url))

let before: Traces
let net: Controller
let network: Network

beforeEach(async () => {
  before = traces()
  net = await openController({ drift: 'off' })
  network = await net.createNetwork({ name: 'blue', ipv6: true })
})
afterEach(() => expectNothingLeft(net, before))

const attach = (name: string) => attachWithRange(net, network, name)

function bridgeOf({ options }: Network): string {
  return (options as { bridge: string }).bridge
}

function run(command: string, ...args: readonly string[]): void {
  expect(spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] }).status).toBe(0)
}

/** What differs, a line each. */
async function differences(): Promise<string[]> {
  const { differences: all } = await net.describe()
  return all.map(({ what, subject, found }) => `${what}: ${subject}${found === undefined ? '' : ` is ${found}`}`)
}

/** In how many turns of the event loop something makes system calls. */
async function turnsOf(work: () => Promise<unknown>): Promise<number> {
  using calls = new SystemCallFaults()
  let turns = 0
  let seen = 0
  const look = (): void => {
    if (calls.count > seen) turns++
    seen = calls.count
    next = setImmediate(look)
  }
  let next = setImmediate(look)
  await work()
  clearImmediate(next)
  return turns
}

describeKernel('the description of a controller', () => {
  it('has what it knows beside what the kernel has, and nothing differs', async () => {
    const { endpoint, sandbox } = await attach('web')
    const internal = await net.createNetwork({ name: 'inner', internal: true })
    const inner = await internal.createEndpoint({ name: 'web' })
    await inner.join(sandbox)
    await outputOf(sandbox, 'getent', ['ahostsv4', 'web.blue'])

    const described = await net.describe()

    expect(described).toMatchObject({ id: net.id, operations: 0, differences: [] })
    expect(described.networks.find(({ id }) => id === network.id)).toMatchObject({
      name: 'blue',
      ipam: 'default',
      leases: [
        { pool: network.ipv4?.pool, addresses: [{ endpointId: endpoint.id }] },
        { pool: network.ipv6?.pool, addresses: [{ endpointId: endpoint.id }] },
      ],
    })
    expect(described.endpoints.find(({ id }) => id === endpoint.id)).toMatchObject({
      ports: endpoint.ports(),
      gatewayFor: [4, 6],
    })
    expect(described.sandboxes).toMatchObject([{ containerId: 'web', endpoints: [endpoint.id, inner.id] }])
    expect(described.sandboxes[0]?.dns?.questions).toBeGreaterThan(0)
    expect(described.host.links.map(({ name }) => name)).toEqual(expect.arrayContaining([bridgeOf(network)]))
    expect(described.host.sandboxes[0]?.inside?.links).toMatchObject([{ name: 'eth0' }, { name: 'eth1' }])
    expect(Object.keys(described.host.firewall?.elements ?? {})).toEqual(expect.arrayContaining(['bridges', 'ports4']))
    expect(JSON.parse(JSON.stringify(described))).toMatchObject({ id: net.id })
  })

  it('names an address that was removed, and one that somebody added', async () => {
    const bridge = bridgeOf(network)
    ip('addr', 'del', network.ipv4?.gateway ?? '', 'dev', bridge)
    ip('addr', 'add', '192.0.2.1/24', 'dev', bridge)

    expect(await differences()).toEqual([
      `missing: address ${network.ipv4?.gateway ?? ''} of ${bridge}`,
      `unexpected: address 192.0.2.1/24 of ${bridge}`,
    ])
    ip('addr', 'del', '192.0.2.1/24', 'dev', bridge)
  })

  it('names an interface that was deleted, and what a sandbox lost', async () => {
    const { endpoint, sandbox } = await attach('web')
    const other = await attach('other')
    const host = `veth${endpoint.id.slice(0, 11)}`
    ip('link', 'del', host)
    run('nsenter', `--net=${other.sandbox.key}`, 'ip', 'addr', 'flush', 'dev', 'eth0')

    const hop = network.ipv4?.gateway.replace(/\/.*/, '') ?? ''
    const hop6 = network.ipv6?.gateway.replace(/\/.*/, '') ?? ''
    const found = await differences()

    expect(found).toEqual(
      expect.arrayContaining([
        `missing: interface ${host}`,
        `missing: interface eth0 in ${sandbox.key}`,
        `missing: default route by ${hop} in ${sandbox.key}`,
        `missing: default route by ${hop6} in ${sandbox.key}`,
        `missing: address ${other.endpoint.address ?? ''} of eth0 in ${other.sandbox.key}`,
      ]),
    )
  })

  it('names a bridge that is down, a link of nobody, a setting and a namespace that somebody changed', async () => {
    const bridge = bridgeOf(network)
    const { sandbox } = await attach('web')
    const path = join(sandbox.key, '..', 'aaaaaaaaaaaa')
    run('ip', 'link', 'set', bridge, 'down')
    run('ip', 'link', 'add', 'stray', 'type', 'bridge')
    run('ip', 'link', 'set', 'stray', 'alias', `net:${net.id}`)
    run('sysctl', '-q', '-w', `net.ipv4.conf.${bridge}.route_localnet=0`)
    run('touch', path)

    expect(await differences()).toEqual(
      expect.arrayContaining([
        `different: state of bridge ${bridge} is down`,
        `different: setting net/ipv4/conf/${bridge}/route_localnet is 0`,
        'unexpected: link stray',
        `unexpected: namespace ${path}`,
      ]),
    )
    run('ip', 'link', 'del', 'stray')
    rmSync(path)
  })

  it('names packet rules that another program removed, until a change puts them in place', async () => {
    const { endpoint } = await attach('web')
    run('nft', 'delete', 'table', 'inet', `net_${net.id.slice(0, 12)}`)
    const [port] = endpoint.ports()

    expect(await differences()).toEqual(
      expect.arrayContaining([
        'missing: rules: the chains and rules that were made',
        `missing: rules: ports4 6 . ${port?.hostPort ?? 0} : ${endpoint.address?.replace(/\/.*/, '') ?? ''} . 80`,
      ]),
    )
    await endpoint.publish([{ containerPort: 81 }])
    expect(await differences()).toEqual([])
  })

  it('lets the event loop turn while it looks into each sandbox', async () => {
    const sandboxes = 30
    await Promise.all(Array.from({ length: sandboxes }, (_, at) => attach(`c${at}`)))

    const turns = await turnsOf(() => net.describe())

    expect(turns).toBeGreaterThan(sandboxes)
  })
})

const hasIptables = spawnSync('iptables', ['--version'], { stdio: 'ignore' }).status === 0

describe.runIf(hasIptables)('where packet rules are made of iptables', () => {
  describeKernel('the description of a controller', () => {
    it('names rules that somebody flushed, until the next change makes them anew', async () => {
      await net.close()
      net = await openController({ drift: 'off', firewall: 'iptables' })
      network = await net.createNetwork({ name: 'blue', ipv6: true })
      const { endpoint } = await attach('web')
      expect(await differences()).toEqual([])
      const chain = `NET-${net.id.slice(0, 12)}-PORTS`
      run('iptables', '-t', 'nat', '-F', chain)
      const [one, range] = endpoint.ports().map(({ hostPort }) => hostPort)
      const to = plain(endpoint.address)
      const rules = [
        `-p tcp --dport ${one} -j DNAT --to-destination ${to}:80`,
        `-p tcp --dport ${range}:${Number(range) + 99} -j DNAT --to-destination ${to}:8000-8099/${range}`,
      ]

      expect(await differences()).toEqual(rules.map((rule) => `missing: rules: IPv4 nat ${chain} ${rule}`))

      await endpoint.publish([{ containerPort: 90 }])
      expect(await differences()).toEqual([])
    })
  })
})

describeKernel('the description before and after a restart', () => {
  it('is the same where the process was killed', async () => {
    const folder = new StateFolder('describe')
    const { stateDirectory, runtimeDirectory } = folder.places
    const child = spawn(process.execPath, [DESCRIBED, stateDirectory, runtimeDirectory], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const { value: line } = (await createInterface(child.stdout)[Symbol.asyncIterator]().next()) as { value: string }
    const known = JSON.parse(line) as ControllerDescription
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect([known.endpoints.length, known.sandboxes.length, known.differences]).toEqual([4, 3, []])

    await using again = await openController(folder.places)

    expect(withoutCounts(await again.describe())).toEqual(withoutCounts(known))
    await again.close()
    await folder.expectNothingLeft()
  })

  it('is the same where it was closed', async () => {
    const folder = new StateFolder('describe')
    const first = await openController(folder.places)
    const green = await first.createNetwork({ name: 'green', ipv6: true })
    for (const name of ['a', 'b', 'c']) {
      await attachPublished(first, green, name)
    }
    const known = await first.describe()
    await first.close()

    const again = await openController(folder.places)

    expect(withoutCounts(await again.describe())).toEqual(withoutCounts(known))
    await again.close()
    await folder.expectNothingLeft()
  })
})

/** As JSON; what resolvers counted begins anew with the process. */
function withoutCounts(described: ControllerDescription): unknown {
  const sandboxes = described.sandboxes.map((sandbox) => ({ ...sandbox, dns: undefined }))
  return JSON.parse(JSON.stringify({ ...described, sandboxes }))
}
