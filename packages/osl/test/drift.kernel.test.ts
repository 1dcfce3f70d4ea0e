import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import type { Firewall, JoinPlan, NetworkPlan } from '@net/driverapi'
import { DescriptorShortage, describeKernel, enterFreshHost, ip, ipIn } from '@net/netlink-ffi/testing'
import { silentLogger, Turns, type Logger } from '@net/types'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Executor, type DriftAnswer, type DriftEvent, type HostEvent } from '../src/index.ts'

await enterFreshHost()

const folder = mkdtempSync(join(tmpdir(), 'drift-'))
const firewall: Firewall = { change: () => Promise.resolve(), close: () => Promise.resolve() }
let count = 0

const network: NetworkPlan = {
  links: [
    {
      ...{ kind: 'bridge', name: 'br0', macAddress: '02:42:00:00:00:01', mtu: 1400 },
      addresses: ['10.20.0.1/24', 'fd20::1/64'],
    },
  ],
  sysctls: [{ path: 'net/ipv4/conf/br0/route_localnet', value: '1' }],
  firewall: [],
}

const joinPlan = (host: number): JoinPlan => ({
  sandbox: {
    links: [
      {
        create: { kind: 'veth', hostName: `veth${host}`, master: 'br0', hairpin: true },
        ...{ name: 'eth0', macAddress: `02:42:0a:14:00:0${host}` },
        ...{ addresses: [`10.20.0.${host}/24`, `fd20::${host}/64`], routes: [], neighbours: [], sysctls: [] },
      },
    ],
    gateways: { ipv4: '10.20.0.1', ipv6: 'fd20::1' },
  },
  firewall: [],
  ports: [],
})

let executor: Executor
let keys: readonly [string, string]
let plans: readonly [JoinPlan, JoinPlan]
const events: DriftEvent[] = []
let wake: (() => void) | undefined

async function next(): Promise<DriftEvent> {
  while (events.length === 0) await new Promise<void>((resolve) => (wake = resolve))
  return events.shift()!
}

function hear(event: HostEvent): void {
  if (event.kind === 'drift') events.push(event)
  wake?.()
}

async function open(drift?: DriftAnswer, turns?: Turns, logger?: Logger): Promise<void> {
  executor = Executor.open({ owner: 'net:test', drift }, { firewall, turns, logger, onEvent: hear })
  await executor.createNetwork(network)
  keys = [join(folder, `one${count}`), join(folder, `two${count++}`)]
  plans = [joinPlan(2), joinPlan(3)]
  for (const [at, key] of keys.entries()) {
    await executor.createSandbox(key)
    await executor.join(key, plans[at]!)
  }
}

/** The address of the first sandbox is removed, and nobody has room to hear of it. */
function removeUnheard(): void {
  const noise = Array.from({ length: 4_000 }, (_, at) => `link set eth0 mtu ${1_300 + (at % 100)}\n`)
  execFileSync('nsenter', [`--net=${keys[0]}`, 'ip', '-batch', '-'], {
    input: [...noise, 'link set eth0 mtu 1500\n', 'addr delete 10.20.0.2/24 dev eth0\n'].join(''),
    stdio: 'pipe',
  })
}

const show = (command: string): void => {
  execFileSync('ip', command.split(' '), { stdio: 'pipe' })
}
/** What `ip` says of the host's links, without what a new one has anew, and what the kernel comes to know by and by. */
const state = (): unknown =>
  (ip('addr', 'show') as Record<string, unknown>[])
    .filter(({ ifname }) => ifname !== 'lo')
    .map(({ ifname, flags, mtu, master, group, ifalias, linkinfo, addr_info: addresses }) => ({
      ...{
        ifname,
        flags: (flags as string[]).filter((flag) => flag !== 'LOWER_UP' && flag !== 'NO-CARRIER').sort(),
        mtu,
        master,
        group,
        ifalias,
      },
      hairpin: (linkinfo as { info_slave_data?: { hairpin: boolean } }).info_slave_data?.hairpin,
      addresses: (addresses as { local: string; scope: string }[])
        .filter(({ scope }) => scope === 'global')
        .map(({ local }) => local)
        .sort(),
    }))
    .sort((one, other) => String(one.ifname).localeCompare(String(other.ifname)))

/** What `ip` says of a sandbox' interface, its global addresses and its routes. */
const inside = (key: string): unknown => {
  const [link] = ipIn(key, 'addr', 'show', 'eth0') as { addr_info: { local: string; scope: string }[] }[]
  const routes = [...(ipIn(key, 'route') as object[]), ...(ipIn(key, '-6', 'route', 'show', 'default') as object[])]
  return {
    addresses: link?.addr_info.filter(({ scope }) => scope === 'global').map(({ local }) => local),
    routes: (routes as { dst: string; gateway?: string }[]).map(({ dst, gateway }) => `${dst} ${gateway ?? ''}`).sort(),
  }
}

/** Whether the sandboxes reach each other and the host. */
const pings = (): boolean[] =>
  ['10.20.0.3', '10.20.0.1', 'fd20::3', 'fd20::1'].map((address) => {
    const args = [`--net=${keys[0]}`, 'ping', '-c', '1', '-W', '5', address]
    return execFileSync('nsenter', args, { encoding: 'utf8', stdio: 'pipe' }).includes('1 received')
  })
const allWell = [true, true, true, true]

/** Resolves once the links are as they were: interfaces come up a little later. */
async function settled(wanted: unknown): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (JSON.stringify(state()) === JSON.stringify(wanted)) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  expect(state()).toEqual(wanted)
}

afterEach(async () => {
  await executor.deleteSandbox(keys[0], [plans[0]])
  await executor.deleteSandbox(keys[1], [plans[1]])
  await executor.deleteNetwork(network)
  await executor.settle()
  await executor.close()
  for (const { ifname } of ip('link', 'show', 'type', 'bridge') as { ifname: string }[]) show(`link delete ${ifname}`)
  events.length = 0
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

describeKernel('links that somebody else has his hands on', () => {
  describe('are put right', () => {
    beforeEach(() => open())

    it.each([
      ['link delete br0', [['bridge-deleted', 'br0', undefined]]],
      ['addr delete 10.20.0.1/24 dev br0', [['address-removed', 'br0', '10.20.0.1/24']]],
      ['addr delete fd20::1/64 dev br0', [['address-removed', 'br0', 'fd20::1/64']]],
      [
        'addr flush dev br0',
        [
          ['address-removed', 'br0', '10.20.0.1/24'],
          ['address-removed', 'br0', 'fd20::1/64'],
        ],
      ],
      ['link set br0 name other', [['bridge-renamed', 'br0', 'other']]],
      [
        'link set br0 down',
        [
          ['bridge-down', 'br0', undefined],
          ['address-removed', 'br0', 'fd20::1/64'],
        ],
      ],
      ['link set br0 group 0', [['bridge-changed', 'br0', 'group']]],
      ['link set br0 alias mine', [['bridge-changed', 'br0', 'alias']]],
      ['link set br0 mtu 1300', [['bridge-changed', 'br0', 'MTU']]],
      ['link set br0 address 02:42:00:00:00:99', [['bridge-changed', 'br0', 'MAC address']]],
      ['link delete veth2', [['interface-deleted', 'veth2', undefined]]],
      ['link set veth2 nomaster', [['interface-detached', 'veth2', undefined]]],
      ['link set veth2 down', [['interface-down', 'veth2', undefined]]],
      ['link set veth2 name other', [['interface-renamed', 'veth2', 'other']]],
    ] as const)('after: ip %s', async (command, expected) => {
      const before = state()

      show(command)

      for (const [what, subject, detail] of expected) {
        expect(await next()).toEqual({ kind: 'drift', what, subject, detail, outcome: 'repaired', error: undefined })
      }
      await settled(before)
      expect(pings()).toEqual(allWell)
      expect(readFileSync('/proc/sys/net/ipv4/conf/br0/route_localnet', 'utf8')).toBe('1\n')
      expect(events).toEqual([])
    })

    it.each([
      ['addr delete 10.20.0.2/24 dev eth0', [['address-removed', '10.20.0.2/24']]],
      ['addr delete fd20::2/64 dev eth0', [['address-removed', 'fd20::2/64']]],
      ['link set eth0 name other', [['interface-renamed', 'other']]],
      ['link set eth0 down', [['interface-down', undefined]]],
    ] as const)('in a sandbox, after: ip %s', async (command, expected) => {
      const before = inside(keys[0])

      execFileSync('nsenter', [`--net=${keys[0]}`, 'ip', ...command.split(' ')], { stdio: 'pipe' })

      for (const [what, detail] of expected) {
        expect(await next()).toEqual({
          ...{ kind: 'drift', what, subject: 'eth0', sandbox: keys[0], detail, outcome: 'repaired', error: undefined },
        })
      }
      await expect.poll(() => inside(keys[0])).toEqual(before)
      expect(pings()).toEqual(allWell)
      expect(events).toEqual([])
    })

    it('in a sandbox, when its link was taken down and up again, which takes its default route away', async () => {
      const script = 'ip link set eth0 down && ip link set eth0 up'
      execFileSync('nsenter', [`--net=${keys[0]}`, 'sh', '-c', script], { stdio: 'pipe' })

      const first = await next()
      expect(first).toMatchObject({ subject: 'eth0', sandbox: keys[0], outcome: 'repaired' })
      await expect.poll(() => ipIn(keys[0], 'route', 'show', 'default')).toMatchObject([{ gateway: '10.20.0.1' }])
      expect(pings()).toEqual(allWell)
    })

    it('with the default routes that the sandbox had', async () => {
      show('link delete veth2')

      expect(await next()).toMatchObject({ what: 'interface-deleted', outcome: 'repaired' })
      expect(ipIn(keys[0], 'route', 'show', 'default')).toMatchObject([{ gateway: '10.20.0.1', dev: 'eth0' }])
      expect(ipIn(keys[0], '-6', 'route', 'show', 'default')).toMatchObject([{ gateway: 'fd20::1', dev: 'eth0' }])
    })

    it('less and less often while they are undone, and in the end', async () => {
      const before = state()
      const undoing = ['for time in $(seq 100); do ip addr flush dev br0; sleep 0.01; done']
      const undoer = spawn('sh', ['-c', ...undoing], { stdio: 'ignore' })
      await once(undoer, 'exit')

      await settled(before)
      expect(events.filter(({ outcome }) => outcome === 'repaired').length).toBeLessThan(40)
    })

    it('after more changes than could be heard of', async () => {
      const before = state()
      const noise = Array.from({ length: 4_000 }, (_, at) => `link set veth2 mtu ${1_300 + (at % 100)}\n`)

      // All before anybody can listen: there is no room for the last one.
      execFileSync('ip', ['-batch', '-'], {
        input: [...noise, 'link set veth2 mtu 1500\n', 'addr delete 10.20.0.1/24 dev br0\n'].join(''),
        stdio: 'pipe',
      })

      expect(await next()).toMatchObject({ what: 'address-removed', outcome: 'repaired' })
      await settled(before)
    })

    it('in a sandbox, after more changes than could be heard of; when that happens again, only after a while', async () => {
      removeUnheard()
      expect(await next()).toMatchObject({ what: 'address-removed', sandbox: keys[0], outcome: 'repaired' })

      const from = performance.now()
      removeUnheard()
      expect(await next()).toMatchObject({ what: 'address-removed', sandbox: keys[0], outcome: 'repaired' })

      expect(performance.now() - from).toBeGreaterThan(1_500)
    })

    it('not when we take them away ourselves', async () => {
      await executor.leave(keys[0], plans[0])
      await executor.deleteSandbox(keys[1], [plans[1]])
      await executor.deleteNetwork(network)
      await executor.settle()

      await new Promise((resolve) => setTimeout(resolve, 60))
      expect(events).toEqual([])
      expect(state()).toEqual([])
    })
  })

  it('are looked at in turns when it is not known which of them changed', async () => {
    const turns = new Turns()
    await open('repair', turns)
    const take = vi.spyOn(turns, 'take')

    removeUnheard()

    // The bridge and its ports.
    await expect.poll(() => take.mock.calls.length).toBeGreaterThanOrEqual(3)
    expect(await next()).toMatchObject({ what: 'address-removed', outcome: 'repaired' })
  })

  it.each([
    ['put right', 'repair', 'repaired'],
    ['told of', 'report', 'reported'],
  ] as const)('are %s later when they cannot be looked at for want of descriptors', async (_, drift, outcome) => {
    const warn = vi.fn()
    await open(drift, undefined, { ...silentLogger, warn })
    const hand = spawn('sh', ['-c', 'read go && ip link delete veth2'], { stdio: ['pipe', 'ignore', 'ignore'] })
    await once(hand, 'spawn')
    {
      using _shortage = new DescriptorShortage()
      hand.stdin.end('go\n')
      await expect
        .poll(() => warn.mock.calls)
        .toContainEqual([expect.objectContaining({ link: 'veth2' }), 'could not look at a link'])
    }

    expect(await next()).toMatchObject({ what: 'interface-deleted', subject: 'veth2', outcome })
    if (drift === 'repair') expect(pings()).toEqual(allWell)
  })

  it.each(['within the sandbox', 'into another namespace'])('are told from pairs of its own: %s', async (where) => {
    await open()
    const [key, other, plan] = [join(folder, `pairs${count}`), join(folder, `other${count}`), joinPlan(4)]
    for (const sandbox of [key, other]) await executor.createSandbox(sandbox)
    const run = (command: string): void => {
      execFileSync('nsenter', [`--net=${key}`, 'ip', ...command.trim().split(' ')], { stdio: 'pipe' })
    }
    // So that the host's end has a number that is free in the sandbox, and the sandbox' own pair comes before its eth0.
    for (let times = 0; times < 5; times++) {
      show('link add passing type bridge')
      show('link delete passing')
    }
    run('link add first type veth peer name second')
    await executor.join(key, plan)
    run('link delete first')
    const [near] = ip('link', 'show', 'veth4') as { ifindex: number }[]
    run(
      `link add own index 2 type veth peer name end index ${near!.ifindex}`.concat(
        where.startsWith('into') ? ` netns ${other}` : '',
      ),
    )

    run('link set eth0 down')

    expect(await next()).toMatchObject({ what: 'interface-down', subject: 'eth0', outcome: 'repaired' })
    expect(events).toEqual([])
    for (const sandbox of [key, other]) await executor.deleteSandbox(sandbox, [plan])
  })

  it('are lost when somebody else has their name, and told of once; they come back when it is free', async () => {
    await open()
    const before = state()

    execFileSync('sh', ['-c', 'ip link delete br0 && ip link add br0 type bridge'], { stdio: 'pipe' })

    expect(await next()).toMatchObject({
      ...{ what: 'bridge-deleted', subject: 'br0', outcome: 'lost', error: { code: 'ERR_INTERFACE_EXISTS' } },
    })
    show('link delete br0')
    expect(await next()).toMatchObject({ what: 'bridge-deleted', outcome: 'repaired' })
    await settled(before)
    expect(pings()).toEqual(allWell)
  })

  it('are lost with the namespace they lead to, which cannot be had again', async () => {
    await open()

    execFileSync('umount', [keys[0]])

    expect(await next()).toMatchObject({ what: 'namespace-lost', subject: keys[0], outcome: 'lost' })
    rmSync(keys[0])
  })

  it('are lost when they are moved out of their sandbox', async () => {
    await open()
    const other = join(folder, `other${count}`)
    await executor.createSandbox(other)

    execFileSync('nsenter', [`--net=${keys[0]}`, 'ip', 'link', 'set', 'eth0', 'netns', other], { stdio: 'pipe' })

    expect(await next()).toMatchObject({ what: 'interface-moved', subject: 'eth0', sandbox: keys[0], outcome: 'lost' })
    await executor.deleteSandbox(other, [])
  })

  it('are found in sandboxes when they are taken over, though nobody was there to hear of them', async () => {
    await open()
    await executor.close()
    execFileSync('nsenter', [`--net=${keys[0]}`, 'ip', 'addr', 'delete', '10.20.0.2/24', 'dev', 'eth0'])
    executor = Executor.open({ owner: 'net:test' }, { firewall, onEvent: hear })

    const joins = plans.map((plan, at) => ({ key: keys[at] ?? '', plan }))
    await executor.restore({ networks: [network], joins, keepStrangers: false })

    expect(events).toMatchObject([{ what: 'address-removed', sandbox: keys[0], detail: '10.20.0.2/24' }])
    expect(pings()).toEqual(allWell)
  })

  it('are lost with a namespace that was unmounted while a program lives in it, at the next look', async () => {
    await open()
    const program = spawn('nsenter', [`--net=${keys[0]}`, 'sleep', '60'], { stdio: 'ignore' })
    const home = readlinkSync('/proc/thread-self/ns/net')
    await expect.poll(() => readlinkSync(`/proc/${program.pid ?? 'self'}/ns/net`)).not.toBe(home)
    execFileSync('umount', [keys[0]])

    execFileSync('nsenter', ['-t', String(program.pid), '-n', 'ip', 'link', 'set', 'eth0', 'down'])

    expect(await next()).toMatchObject({ what: 'namespace-lost', subject: keys[0], outcome: 'lost' })
    program.kill()
    await once(program, 'exit')
    rmSync(keys[0])
  })

  it('are told of and left alone where that is wanted', async () => {
    await open('report')

    show('addr delete 10.20.0.1/24 dev br0')
    expect(await next()).toMatchObject({ what: 'address-removed', detail: '10.20.0.1/24', outcome: 'reported' })
    show('addr add 192.0.2.1/24 dev br0')
    show('addr delete 192.0.2.1/24 dev br0')
    show('link set veth2 down')
    expect(await next()).toMatchObject({ what: 'interface-down', outcome: 'reported' })

    expect(JSON.stringify(state())).not.toContain('10.20.0.1')
    expect(events).toEqual([])
  })

  it('are watched on the host alone by a process that may not listen to sandboxes', async () => {
    await open()
    const script = `
      import { Executor } from '@net/osl'
      const firewall = { change: async () => {}, close: async () => {} }
      const logger = { warn: (fields, message) => console.log(message), debug() {}, info() {}, error() {} }
      await Executor.open({ owner: 'net:test' }, { firewall, logger }).close()
    `
    const command = ['--bounding-set=-net_broadcast', process.execPath, '--input-type=module', '-e', script]
    const cwd = fileURLToPath(new URL('.', import.meta.url))

    const said = execFileSync('setpriv', command, { cwd, encoding: 'utf8' })

    expect(said).toMatch('it takes CAP_NET_BROADCAST')
  })

  it("are nobody's concern where that is wanted", async () => {
    await open('off')

    show('addr delete 10.20.0.1/24 dev br0')
    await new Promise((resolve) => setTimeout(resolve, 60))

    expect(JSON.stringify(state())).not.toContain('10.20.0.1')
    expect(events).toEqual([])
  })
})
