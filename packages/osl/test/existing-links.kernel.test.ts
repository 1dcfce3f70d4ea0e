import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NETWORK_LINK_GROUP, type ExistingLink, type Firewall, type JoinPlan } from '@net/driverapi'
import { describeKernel, enterFreshHost, ip, ipIn } from '@net/netlink-ffi/testing'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { Executor, type HostEvent } from '../src/index.ts'
import { callsOf } from './calls.ts'

await enterFreshHost()

const folder = mkdtempSync(join(tmpdir(), 'osl-'))
let count = 0

const firewall: Firewall = { change: () => Promise.resolve(), close: () => Promise.resolve() }
const events: HostEvent[] = []
let executor: Executor
let key: string
beforeEach(async () => {
  events.length = 0
  executor = Executor.open({ owner: 'net:test' }, { firewall, onEvent: (event) => events.push(event) })
  key = join(folder, `sandbox${count++}`)
  await executor.createSandbox(key)
  ip('link', 'add', 'near0', 'type', 'veth', 'peer', 'name', 'made0', 'address', '02:00:00:00:00:01')
  return async () => {
    // The other end goes with it, wherever that is; a namespace would take them both along, later.
    for (const name of ['near0', 'made0']) if (hostLinks().includes(name)) ip('link', 'delete', name)
    await executor.deleteSandbox(key, [])
    await executor.close()
  }
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

const code = (name: string): object => expect.objectContaining({ code: name }) as object
const hostLinks = (): string[] => (ip('link', 'show') as { ifname: string }[]).map(({ ifname }) => ifname)
const linksInside = (): string[] => (ipIn(key, 'link', 'show') as { ifname: string }[]).map(({ ifname }) => ifname)

/** What an endpoint wants whose interface is a link that somebody else made. */
function planOf(changes: Partial<ExistingLink> = {}): JoinPlan {
  const link: ExistingLink = {
    hostName: 'made0',
    name: 'eth0',
    macAddress: '02:42:0a:1e:00:02',
    addresses: ['10.30.0.2/24', 'fd30::2/64'],
    routes: [{ destination: '192.0.2.0/24', gateway: '10.30.0.9' }, { destination: '198.51.100.0/24' }],
    sysctls: [],
    ...changes,
  }
  return {
    sandbox: { links: [], existing: [link], gateways: { ipv4: '10.30.0.1', ipv6: 'fd30::1' } },
    firewall: [],
    ports: [],
  }
}

describeKernel('a link that somebody else made', () => {
  it('is moved into the sandbox with all that it is to have, and back as it was called', async () => {
    const plan = planOf()
    await executor.join(key, plan)

    expect(hostLinks().sort()).toEqual(['lo', 'near0'])
    expect(ipIn(key, 'addr', 'show', 'eth0')).toMatchObject([
      {
        address: '02:42:0a:1e:00:02',
        flags: expect.arrayContaining(['UP']) as unknown,
        addr_info: expect.arrayContaining([
          expect.objectContaining({ local: '10.30.0.2', prefixlen: 24 }),
          expect.objectContaining({ local: 'fd30::2', prefixlen: 64 }),
        ]) as unknown,
      },
    ])
    expect(ipIn(key, 'route', 'show')).toMatchObject(
      expect.arrayContaining([
        expect.objectContaining({ dst: 'default', gateway: '10.30.0.1' }),
        expect.objectContaining({ dst: '192.0.2.0/24', gateway: '10.30.0.9' }),
        expect.objectContaining({ dst: '198.51.100.0/24', dev: 'eth0' }),
      ]) as never,
    )
    expect(ipIn(key, '-6', 'route', 'show', 'default')).toMatchObject([{ gateway: 'fd30::1' }])

    await executor.leave(key, plan)
    await executor.leave(key, plan)

    expect(linksInside()).toEqual(['lo'])
    expect(hostLinks().sort()).toEqual(['lo', 'made0', 'near0'])
  })

  it('keeps its MAC address where none is named', async () => {
    await executor.join(key, planOf({ macAddress: undefined }))

    expect(ipIn(key, 'link', 'show', 'eth0')).toMatchObject([{ address: '02:00:00:00:00:01' }])
  })

  it('is back on the host when its sandbox is deleted', async () => {
    await executor.join(key, planOf())
    await executor.deleteSandbox(key, [planOf()])

    expect(hostLinks()).toContain('made0')
  })

  it('is part of what is looked at', async () => {
    await executor.join(key, planOf())
    const wanted = { networks: [], joins: [{ key, plan: planOf() }], keys: [key] }
    expect((await executor.inspect(wanted)).differences).toEqual([])

    ipIn(key, 'link', 'set', 'eth0', 'down')

    expect((await executor.inspect(wanted)).differences).toContainEqual(
      expect.objectContaining({ subject: `state of interface eth0 in ${key}`, expected: 'up', found: 'down' }),
    )
  })

  it.each([
    ['that is not there', { hostName: 'none0' }, 'ERR_LINK_NOT_FOUND'],
    ['that the kernel does not move', { hostName: 'lo' }, 'ERR_LINK_IN_USE'],
    ['under a name that is taken inside', { name: 'lo' }, 'ERR_INTERFACE_EXISTS'],
    [
      'with a route that leads nowhere',
      { routes: [{ destination: '192.0.2.0/24', gateway: '10.99.0.1' }] },
      'ERR_NETLINK',
    ],
  ])('is refused %s, and left on the host', async (_, changes, error) => {
    await expect(executor.join(key, planOf(changes))).rejects.toThrow(code(error))

    expect(linksInside()).toEqual(['lo'])
    expect(hostLinks().sort()).toEqual(['lo', 'made0', 'near0'])
  })

  it("is refused when it is a network's", async () => {
    ip('link', 'set', 'made0', 'group', String(NETWORK_LINK_GROUP))
    await expect(executor.join(key, planOf())).rejects.toThrow(code('ERR_LINK_IN_USE'))
    ip('link', 'set', 'made0', 'group', '0', 'alias', 'net:test')
    await expect(executor.join(key, planOf())).rejects.toThrow(code('ERR_LINK_IN_USE'))

    expect(hostLinks()).toContain('made0')
  })

  it('stays where it is when its name on the host has passed to another', async () => {
    await executor.join(key, planOf())
    ip('link', 'add', 'made0', 'type', 'bridge')

    await expect(executor.leave(key, planOf())).rejects.toThrow(code('ERR_INTERFACE_EXISTS'))

    expect(linksInside()).toContain('eth0')
  })

  it('is given back when the rules are refused', async () => {
    const refusing = { ...firewall, change: () => Promise.reject(new Error('refused')) }
    const other = Executor.open({ owner: 'net:test' }, { firewall: refusing })
    const fact = { kind: 'forwarding', family: 4 } as const

    await expect(other.join(key, { ...planOf(), firewall: [fact] })).rejects.toThrow('refused')
    await other.close()

    expect(hostLinks()).toContain('made0')
    expect(linksInside()).toEqual(['lo'])
  })

  it('is deleted when nobody takes it back, unless another has its name', async () => {
    await executor.discard(planOf())
    expect(hostLinks()).toContain('made0')

    await executor.discard(planOf({ macAddress: '02:00:00:00:00:01' }))
    expect(hostLinks()).toEqual(['lo'])
  })
})

describeKernel('a link that somebody else made, after a restart', () => {
  const restored = (): object => ({ networks: [], joins: [{ key, plan: planOf() }], keepStrangers: false })
  const restore = (): Promise<unknown> => executor.restore(restored() as Parameters<Executor['restore']>[0])

  it('stays as it is in its sandbox', async () => {
    await executor.join(key, planOf())
    const before = ipIn(key, 'addr', 'show')
    await restore()

    expect(ipIn(key, 'addr', 'show')).toEqual(before)
    expect(events).toEqual([])
  })

  it('is given back what it lost there', async () => {
    await executor.join(key, planOf())
    ipIn(key, 'addr', 'delete', '10.30.0.2/24', 'dev', 'eth0')
    await restore()

    expect(ipIn(key, '-4', 'addr', 'show', 'eth0')).toMatchObject([{ addr_info: [{ local: '10.30.0.2' }] }])
    expect(ipIn(key, 'route', 'show', 'default')).toMatchObject([{ gateway: '10.30.0.1' }])
  })

  it('is given that back among a great many addresses, which are not listed', async () => {
    await executor.join(key, planOf())
    await executor.close()
    // One that does not hear of them meanwhile: that takes calls as well.
    executor = Executor.open({ owner: 'net:test', drift: 'off' }, { firewall })
    // What is done the first time only is in neither count.
    await restore()
    const few = await callsOf(restore)
    const added = Array.from({ length: 5_000 }, (_, at) => `addr add 30.0.${at >> 8}.${at & 255}/32 dev eth0\n`)
    execFileSync('nsenter', [`--net=${key}`, 'ip', '-batch', '-'], { input: added.join('') })
    ipIn(key, 'addr', 'delete', '10.30.0.2/24', 'dev', 'eth0')

    const many = await callsOf(restore)

    expect(JSON.stringify(ipIn(key, '-4', 'addr', 'show', 'eth0'))).toContain('10.30.0.2')
    expect(many).toBe(few)
  })

  it('is moved there from the host', async () => {
    await restore()

    expect(linksInside()).toEqual(['lo', 'eth0'])
  })

  it('is told of when it is nowhere', async () => {
    ip('link', 'delete', 'made0')
    await restore()

    expect(events).toMatchObject([{ kind: 'drift', what: 'interface-deleted', subject: 'eth0', outcome: 'lost' }])
  })
})
