import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Firewall, JoinPlan, NetworkPlan } from '@net/driverapi'
import { RouteSocket } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, ipIn } from '@net/netlink-ffi/testing'
import { silentLogger } from '@net/types'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Executor, inSandbox, type HostEvent } from '../src/index.ts'
import { callsOf } from './calls.ts'

await enterFreshHost()

const firewall: Firewall = { change: () => Promise.resolve(), close: () => Promise.resolve() }
const folder = mkdtempSync(join(tmpdir(), 'hostile-'))
const [hostile, peaceful, later] = [join(folder, 'hostile'), join(folder, 'peaceful'), join(folder, 'later')] as const

const network: NetworkPlan = {
  links: [{ kind: 'bridge', name: 'br0', macAddress: '02:42:00:00:00:01', addresses: ['10.20.0.1/24'] }],
  sysctls: [],
  firewall: [],
}
const planOf = (host: number): JoinPlan => ({
  sandbox: {
    links: [
      {
        create: { kind: 'veth', hostName: `veth${host}`, master: 'br0' },
        ...{ name: 'eth0', macAddress: `02:42:0a:14:00:0${host}`, addresses: [`10.20.0.${host}/24`] },
        ...{ routes: [], neighbours: [], sysctls: [] },
      },
    ],
    gateways: { ipv4: '10.20.0.1' },
  },
  firewall: [],
  ports: [],
})

/** A program that says what it likes to who listens to links, which takes CAP_NET_ADMIN in its own namespace. */
const SPEAKER = `
  import koffi from 'koffi'
  const library = koffi.load(null)
  const socket = library.func('int socket(int domain, int type, int protocol)')
  const sendto = library.func('intptr_t sendto(int fd, void *bytes, size_t length, int flags, void *to, uint32_t toLength)')
  const fd = socket(16, 3, 0)
  const linkGroup = new Uint8Array(Uint32Array.of(16, 0, 1).buffer)
  const say = (bytes) => sendto(fd, bytes, bytes.length, 0, linkGroup, linkGroup.length)
  // A header of a new link, and nothing of it.
  if (say(new Uint8Array(Uint32Array.of(16, 16, 0, 0).buffer)) !== 16) throw new Error('it may not')
  for (let times = 0; times < 500; times++) {
    const bytes = crypto.getRandomValues(new Uint8Array(times % 90))
    if (bytes.length >= 16) new Uint32Array(bytes.buffer, 0, 2).set([bytes.length, 16 + (times % 6)])
    say(bytes)
  }
`

let executor: Executor
const events: HostEvent[] = []

beforeEach(async () => {
  mkdirSync(folder, { recursive: true })
  events.length = 0
  executor = Executor.open({ owner: 'net:test' }, { firewall, onEvent: (event) => events.push(event) })
  await executor.createNetwork(network)
  for (const [at, key] of [hostile, peaceful].entries()) {
    await executor.createSandbox(key)
    await executor.join(key, planOf(at + 2))
  }
})
afterEach(async () => {
  for (const [at, key] of [hostile, peaceful, later].entries()) await executor.deleteSandbox(key, [planOf(at + 2)])
  await executor.deleteNetwork(network)
  await executor.settle()
  await executor.close()
  rmSync(folder, { recursive: true })
})

describeKernel('a program that may administer the network of its sandbox', () => {
  it('speaks to those who listen to links, and disturbs nobody', async () => {
    const home = readlinkSync('/proc/thread-self/ns/net')
    const program = executor.spawn(
      {
        ...{ key: hostile, command: process.execPath, args: ['--input-type=module', '-e', SPEAKER], env: {} },
        ...{
          cwd: fileURLToPath(new URL('../../netlink-ffi', import.meta.url)),
          view: { files: [], hostname: 'hostile' },
        },
      },
      { capabilities: ['NET_ADMIN'], stdio: ['ignore', 'ignore', 'pipe'] },
    )
    let complaints = ''
    program.stderr?.on('data', (chunk: Buffer) => (complaints += chunk.toString()))
    const [code] = (await once(program, 'close')) as [number | null]
    expect([code, complaints]).toEqual([0, ''])

    // What was said is read by now, and the native calls that follow go where they should.
    await executor.createSandbox(later)
    await executor.join(later, planOf(4))
    expect(readlinkSync('/proc/thread-self/ns/net')).toBe(home)
    expect(ipIn(later, 'addr', 'show', 'eth0')).toMatchObject([{ ifname: 'eth0' }])
    expect(events).toEqual([])

    execFileSync('nsenter', [`--net=${peaceful}`, 'ip', 'link', 'set', 'eth0', 'down'])
    await expect.poll(() => events).toMatchObject([{ what: 'interface-down', sandbox: peaceful, outcome: 'repaired' }])
  })
})

describeKernel('a program that makes routes without end in its sandbox', () => {
  const ROUTES = 60_000
  const makeRoutes = (): void => {
    const routes = Array.from({ length: ROUTES }, (_, at) => `route add 30.0.${at >> 8}.${at & 255} via 10.20.0.1\n`)
    execFileSync('nsenter', [`--net=${hostile}`, 'ip', '-batch', '-'], { input: routes.join(''), stdio: 'pipe' })
  }

  it('has the event loop go on while what is there is read', async () => {
    makeRoutes()
    let turns = 0
    const count = setInterval(() => turns++, 0)

    const { host, differences } = await executor.inspect({
      networks: [network],
      joins: [hostile, peaceful].map((key, at) => ({ key, plan: planOf(at + 2) })),
      keys: [hostile, peaceful],
    })

    clearInterval(count)
    expect(differences).toEqual([])
    expect(host.sandboxes[0]?.inside?.routes.length).toBeGreaterThan(ROUTES)
    expect(turns).toBeGreaterThan(10)
  })

  const restore = (): Promise<unknown> =>
    executor.restore({ networks: [network], joins: [{ key: hostile, plan: planOf(2) }], keepStrangers: true })

  it('is not looked into, which is told once', async () => {
    const warn = vi.fn()
    await executor.close()
    executor = Executor.open({ owner: 'net:test' }, { firewall, logger: { ...silentLogger, warn } })
    makeRoutes()

    await restore()
    await restore()

    expect(warn.mock.calls).toEqual([[{ sandbox: hostile }, 'a sandbox has too much in it to be looked into']])
  })

  it('has no list made of its routes', async () => {
    await executor.close()
    // One that does not hear of links meanwhile: that takes calls as well.
    executor = Executor.open({ owner: 'net:test', drift: 'off' }, { firewall })
    const list = (): Promise<void> => {
      using inside = inSandbox(hostile, () => RouteSocket.open())
      expect(inside.listRoutes().length).toBeGreaterThan(ROUTES)
      return Promise.resolve()
    }
    // What is done the first time only is in neither count.
    await restore()
    const few = await callsOf(restore)
    makeRoutes()

    const [listing, many] = [await callsOf(list), await callsOf(restore)]

    expect(many - few).toBeLessThan(listing / 5)
  })
})
