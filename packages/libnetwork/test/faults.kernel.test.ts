import { execFileSync } from 'node:child_process'
import { describeKernel, enterFreshHost, ip } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  openController,
  type Attachment,
  type Controller,
  type ControllerEvent,
  type ControllerOptions,
} from '../src/index.ts'
import { fetchFrom, fetchFromHost, plain, serve } from './lab.ts'

await enterFreshHost()

let net: Controller
let one: Attachment
let url: string

beforeEach(async () => {
  net = await openController()
  const network = await net.createNetwork({ name: 'n', ipv6: true })
  one = await net.attach({
    network,
    endpoint: { name: 'one', ports: [{ containerPort: 80 }] },
    sandbox: { containerId: 'one' },
  })
  url = `http://127.0.0.1:${one.endpoint.ports()[0]?.hostPort ?? 0}/`
})
afterEach(async () => {
  await net.close()
})

/** The event that comes first among `events`. */
async function first(events: AsyncIterable<ControllerEvent>): Promise<ControllerEvent> {
  for await (const event of events) return event
  throw new Error('the events ended')
}

describeKernel('packet rules that another program flushes', () => {
  it('come back by themselves, and the controller tells of it', async () => {
    await using _server = await serve(one.sandbox, 'hello')
    expect(await fetchFromHost(url)).toBe('hello')
    const events = net.events()

    execFileSync('nft', ['flush', 'ruleset'])

    expect(await first(events)).toMatchObject({
      ...{ kind: 'rules-restored', sequence: 1, what: 'table deleted', by: { program: 'nft' } },
    })
    expect(await fetchFromHost(url)).toBe('hello')
  })
})

describeKernel('packet rules that another program flushes, as drift has it', () => {
  const table = (id: string): string => `net_${id.slice(0, 12)}`
  const tables = (): string => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })

  it.each(['off', 'report'] as const)('%s: stay as they are', async (drift) => {
    await using other = await openController({ drift })
    execFileSync('nft', ['delete', 'table', 'inet', table(other.id)])

    // One that is not put in place is told of, or nobody is: that of the other controller comes after it.
    const restored = first(net.events())
    execFileSync('nft', ['delete', 'table', 'inet', table(net.id)])
    await restored
    await new Promise((resolve) => setTimeout(resolve, 50))

    expect(tables()).not.toContain(`inet ${table(other.id)}`)
    const told = other.events({ after: 0, signal: AbortSignal.timeout(50) })
    const kinds: string[] = []
    for await (const { kind } of told) kinds.push(kind)
    expect(kinds).toEqual(drift === 'off' ? [] : ['rules-changed'])
  })
})

describeKernel('a firewall of another program that is in the way', () => {
  it('is told of, and answered where that is wanted', async () => {
    const drop = 'add table inet other; add chain inet other f { type filter hook forward priority 0; policy drop; }'
    execFileSync('nft', [drop])
    await using other = await openController({ foreignFirewall: 'insert' })

    expect(await first(other.events({ after: 0 }))).toMatchObject({
      ...{ kind: 'foreign-firewall', chain: 'inet other f', answer: 'accepted' },
    })
    expect(await first(net.events({ after: 0 }))).toMatchObject({
      ...{ kind: 'foreign-firewall', chain: 'inet other f', answer: 'none' },
    })
    const list = (): string => execFileSync('nft', ['list', 'table', 'inet', 'other'], { encoding: 'utf8' })
    expect(list()).toContain(`networks of ${other.id}`)
    await other.close()
    expect(list()).not.toContain('networks of')
    execFileSync('nft', ['delete', 'table', 'inet', 'other'])
  })
})

describeKernel('a bridge that somebody deletes', () => {
  it('is made again with all that was on it, and the controller tells of it', async () => {
    await using _server = await serve(one.sandbox, 'hello')
    const network = net.getNetwork('n')
    const two = await net.attach({ network, endpoint: { name: 'two' }, sandbox: { containerId: 'two' } })
    const [bridge] = ip('link', 'show', 'type', 'bridge') as [{ ifname: string }]
    const events = net.events()

    execFileSync('ip', ['link', 'delete', bridge.ifname])

    expect(await first(events)).toMatchObject({
      ...{ kind: 'drift', what: 'bridge-deleted', subject: bridge.ifname, outcome: 'repaired' },
    })
    expect(await fetchFromHost(url)).toBe('hello')
    expect(await fetchFrom(two.sandbox, `http://${plain(one.endpoint.address)}/`)).toBe('hello')
    expect(await fetchFrom(two.sandbox, `http://[${plain(one.endpoint.address6)}]/`)).toBe('hello')
  })

  it('is told of only, where that is wanted', async () => {
    await using other = await openController({ drift: 'report' })
    await other.createNetwork({ name: 'n' })
    const events = other.events()
    const bridges = ip('link', 'show', 'type', 'bridge') as { ifname: string; ifalias: string }[]
    const { ifname } = bridges.find(({ ifalias }) => ifalias === `net:${other.id}`)!

    execFileSync('ip', ['link', 'set', ifname, 'down'])

    expect(await first(events)).toMatchObject({ kind: 'drift', what: 'bridge-down', outcome: 'reported' })
  })
})

describeKernel('a controller that is to do what nobody can', () => {
  it.each<[object, string, string]>([
    [{ drift: 'panic' }, 'drift', 'expected off or report or repair, got "panic"'],
    [{ firewall: 'none' }, 'firewall', 'expected nftables or iptables, got "none"'],
    [{ foreignFirewall: 'fight' }, 'foreignFirewall', 'expected warn or insert'],
    [{ onClose: 'Keep' }, 'onClose', 'expected keep or delete, got "Keep"'],
    [{ stateDirectroy: '/var/lib/net' }, '', 'stateDirectroy'],
    [{ stores: { global: {} } }, 'stores', 'global'],
    [{ stores: { local: {} } }, 'stores.local', 'expected a store'],
    [{ stateDirectory: '' }, 'stateDirectory', 'expected a path'],
    [{ name: '' }, 'name', 'expected 1 to 100 bytes'],
    [{ name: 'x'.repeat(101) }, 'name', 'expected 1 to 100 bytes'],
    [{ defaultDriver: ' ' }, 'defaultDriver', 'expected a name'],
    [{ drivers: [{}] }, 'drivers.0', 'expected a network driver'],
    [{ ipam: [{}] }, 'ipam.0', 'expected an address manager'],
    [{ ports: { holdAtMost: -1 } }, 'ports.holdAtMost', 'expected a whole number, got -1'],
    [{ dns: { host: { port: 0 } } }, 'dns.host.port', 'expected 1 to 65535, got 0'],
    [{ plugins: { timeoutMs: 0.5 } }, 'plugins.timeoutMs', 'expected whole milliseconds, got 0.5'],
    [{ logger: { info: () => undefined } }, 'logger', 'expected a logger'],
  ])('says so before anything is made: %j', async (options, member, expected) => {
    const before = execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })

    await expect(openController(options as ControllerOptions)).rejects.toMatchObject({
      ...{ kind: 'bad-request', message: expect.stringMatching(new RegExp(`${member}.*${expected}`)) as string },
    })
    expect(execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })).toBe(before)
  })
})
