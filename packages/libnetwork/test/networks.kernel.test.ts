import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { tmpdir } from 'node:os'
import type { NetworkDriver } from '@net/driverapi'
import { defaultIpam } from '@net/ipam'
import type { IpamDriver, Pool } from '@net/ipamapi'
import { RouteSocket } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, ip } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type CreateNetworkRequest } from '../src/index.ts'
import { spoiledDriver, traces } from './lab.ts'

await enterFreshHost()

let net: Controller
beforeEach(async () => {
  net = await openController()
})
afterEach(() => net.close())

const pool = (cidr: string, gateway?: string): Pick<CreateNetworkRequest, 'ipam'> => ({
  ipam: { pools: [{ pool: cidr, gateway }] },
})

const aux = (address: string): Pick<CreateNetworkRequest, 'ipam'> => ({
  ipam: { pools: [{ pool: '10.0.0.0/24', auxAddresses: { one: address } }] },
})
const halved = (cidr: string, subPool: string): Pick<CreateNetworkRequest, 'ipam'> => ({
  ipam: { pools: [{ pool: cidr, subPool }] },
})

describeKernel('a network', () => {
  it('gets the first default pool and its first address, a bridge, and is found by name and id', async () => {
    const network = await net.createNetwork({ name: 'network1' })

    expect(network).toMatchObject({ name: 'network1', driver: 'bridge', internal: false, ipv6: undefined })
    expect(network.ipv4).toMatchObject({ pool: '172.17.0.0/16', gateway: '172.17.0.1/16' })
    expect(net.getNetwork('network1').id).toBe(network.id)
    expect(net.findNetwork(network.id)?.name).toBe('network1')
    expect(net.networks().map(({ name }) => name)).toEqual(['network1'])
    expect(ip('addr', 'show', `br-${network.id.slice(0, 12)}`)).toMatchObject([
      { ifalias: `net:${net.id}`, addr_info: [{ local: '172.17.0.1', prefixlen: 16 }] },
    ])
  })

  it('gets a unique local /64 when IPv6 is asked for', async () => {
    const network = await net.createNetwork({ name: 'network1', ipv6: true })

    expect(network.ipv6?.pool).toMatch(/^fd.*::\/64$/)
    expect(network.ipv6?.gateway).toMatch(/^fd.*::1\/64$/)
  })

  it('takes pools, gateways and the name of its bridge as asked', async () => {
    const network = await net.createNetwork({
      name: 'network1',
      ipam: { pools: [{ pool: '10.7.0.9/24', gateway: '10.7.0.254' }, { pool: 'fd07::/64' }] },
      options: { 'com.docker.network.bridge.name': 'br-lab', 'com.docker.network.driver.mtu': 1400 },
    })

    expect(network.ipv4).toMatchObject({ pool: '10.7.0.0/24', gateway: '10.7.0.254/24' })
    expect(network.ipv6).toMatchObject({ pool: 'fd07::/64', gateway: 'fd07::1/64' })
    expect(ip('link', 'show', 'br-lab')).toMatchObject([{ mtu: 1400 }])
  })

  it('gives auxiliary addresses to nobody, as long as it is there', async () => {
    const auxAddresses = { router: '10.7.0.2', printer: '10.7.0.4' }
    const network = await net.createNetwork({
      name: 'network1',
      ipam: { pools: [{ pool: '10.7.0.0/24', auxAddresses }] },
    })

    expect((await network.createEndpoint({ name: 'one' })).address).toBe('10.7.0.3/24')
    const second = await network.createEndpoint({ name: 'two' })
    expect(second.address).toBe('10.7.0.5/24')
    await expect(network.createEndpoint({ name: 'three', address: '10.7.0.4' })).rejects.toMatchObject({
      code: 'ERR_ADDRESS_IN_USE',
    })

    for (const endpoint of network.endpoints()) await endpoint.delete()
    await network.delete()
    const next = await net.createNetwork({ name: 'network1', ...pool('10.7.0.0/24') })
    expect((await next.createEndpoint({ name: 'one' })).address).toBe('10.7.0.2/24')
  })

  it('keeps off the networks that the host has a link on', async () => {
    using routes = RouteSocket.open()
    const link = routes.createLink({ kind: 'bridge', name: 'host-lan', up: true })
    const { addAddress } = await import('@net/netlink-ffi')
    routes.apply(addAddress({ index: link.index, address: '172.17.9.1/24' }))

    expect((await net.createNetwork({ name: 'network1' })).ipv4?.pool).toBe('172.18.0.0/16')

    await routes.deleteLinks(['host-lan'])
  })

  it('goes, can be deleted twice, and its name and pool are free again', async () => {
    const before = traces()
    const network = await net.createNetwork({ name: 'network1', ...pool('10.7.0.0/24') })

    await network.delete()
    await network.delete()

    expect(traces()).toEqual(before)
    expect(net.findNetwork('network1')).toBeUndefined()
    expect((await net.createNetwork({ name: 'network1', ...pool('10.7.0.0/24') })).ipv4?.pool).toBe('10.7.0.0/24')
  })

  it('lets others choose their pools while a driver takes its time', async () => {
    await net.close()
    const asked = new EventEmitter()
    const none = (): Promise<never> => Promise.reject(new Error('not asked for'))
    const slow: NetworkDriver = {
      ...spoiledDriver({}),
      type: 'slow',
      effects: {
        createNetwork: async () => {
          await once(asked, 'made')
        },
        deleteNetwork: () => Promise.resolve(),
        ...{ createEndpoint: none, deleteEndpoint: none, join: none, leave: none },
        ...{ becomeGateway: none, ceaseGateway: none, endpointInfo: none },
      },
    }
    net = await openController({ drivers: [slow] })
    const beginning = net.createNetwork({ name: 'slow', driver: 'slow' })
    while (net.findNetwork('slow')?.ipv4 === undefined) await sleep(1)

    await using other = await openController()
    const pools = [net, other].map(async (one) => (await one.createNetwork({ name: 'quick' })).ipv4?.pool)
    expect(new Set(await Promise.all(pools)).size).toBe(2)
    asked.emit('made')
    await beginning
  })

  it('is not deleted while endpoints are on it, which are named', async () => {
    const network = await net.createNetwork({ name: 'network1' })
    const endpoint = await network.createEndpoint({ name: 'one' })

    await expect(network.delete()).rejects.toMatchObject({
      code: 'ERR_ACTIVE_ENDPOINTS',
      kind: 'forbidden',
      message: 'network network1 has active endpoints: one',
    })
    await endpoint.delete()
    await network.delete()
  })
})

describeKernel('a network that cannot be', () => {
  it.each<[string, Partial<CreateNetworkRequest>, string, string]>([
    ['a subnet that is none', pool('10.0.0.0/33'), 'ERR_INVALID_CIDR', 'bad-request'],
    ['a subnet without length', pool('10.0.0.0'), 'ERR_INVALID_CIDR', 'bad-request'],
    ['a subnet with leading zeros', pool('010.0.0.0/8'), 'ERR_INVALID_CIDR', 'bad-request'],
    ['a gateway that is none', pool('10.0.0.0/24', 'gateway'), 'ERR_INVALID_ADDRESS', 'bad-request'],
    ['a gateway outside its pool', pool('10.0.0.0/24', '10.0.1.1'), 'ERR_ADDRESS_OUT_OF_RANGE', 'bad-request'],
    ['an auxiliary address outside its pool', aux('10.0.1.1'), 'ERR_ADDRESS_OUT_OF_RANGE', 'bad-request'],
    ['an auxiliary address that is the gateway', aux('10.0.0.1'), 'ERR_ADDRESS_IN_USE', 'forbidden'],
    ['an auxiliary address that is none', aux('10.0.0'), 'ERR_INVALID_ADDRESS', 'bad-request'],
    ['a gateway of the other family', pool('10.0.0.0/24', 'fd00::1'), 'ERR_ADDRESS_OUT_OF_RANGE', 'bad-request'],
    ['a subnet that overlaps', pool('10.200.0.128/25'), 'ERR_POOL_OVERLAP', 'forbidden'],
    [
      'a part of a subnet that another network has a part of',
      halved('10.201.0.0/16', '10.201.128.0/17'),
      'ERR_POOL_OVERLAP',
      'forbidden',
    ],
    ['loopback addresses', pool('127.1.0.0/16'), 'ERR_INVALID_POOL', 'bad-request'],
    ['group addresses', pool('ff02::/64'), 'ERR_INVALID_POOL', 'bad-request'],
    ['all addresses there are', pool('0.0.0.0/0'), 'ERR_INVALID_POOL', 'bad-request'],
    ['an address manager without addresses', { ipam: { driver: 'null' } }, 'ERR_INVALID_REQUEST', 'bad-request'],
    ['a number too large for JSON', { name: 1n } as never, 'ERR_INVALID_REQUEST', 'bad-request'],
    ['a name that exists', { name: 'there' }, 'ERR_NETWORK_EXISTS', 'forbidden'],
    ['a blank name', { name: ' ' }, 'ERR_INVALID_REQUEST', 'bad-request'],
    ['an unknown driver', { driver: 'brigde' }, 'ERR_NO_SUCH_DRIVER', 'not-found'],
    ['an unknown address manager', { ipam: { driver: 'dhcp' } }, 'ERR_NO_SUCH_IPAM_DRIVER', 'not-found'],
    ['an unknown member', { subnet: '10.0.0.0/8' } as never, 'ERR_INVALID_REQUEST', 'bad-request'],
    [
      'two pools of one family',
      { ipam: { pools: [{ pool: '10.1.0.0/24' }, { pool: '10.2.0.0/24' }] } },
      'ERR_INVALID_REQUEST',
      'bad-request',
    ],
    ['an IPv6 pool and no IPv6', { ipv6: false, ...pool('fd00::/64') }, 'ERR_INVALID_REQUEST', 'bad-request'],
    [
      'a bridge name over 15 bytes',
      { options: { 'com.docker.network.bridge.name': 'sixteen-bytes-xx' } },
      'ERR_INVALID_OPTION',
      'bad-request',
    ],
    [
      'a bridge that another network has',
      { options: { 'com.docker.network.bridge.name': 'br-there' } },
      'ERR_BRIDGE_IN_USE',
      'forbidden',
    ],
    [
      "a bridge name that is somebody else's link",
      { options: { 'com.docker.network.bridge.name': 'lo' } },
      'ERR_NOT_A_BRIDGE',
      'forbidden',
    ],
    [
      'a default bridge of a name that the host does not have',
      {
        options: {
          'com.docker.network.bridge.default_bridge': true,
          'com.docker.network.bridge.name': 'br-none',
        },
      },
      'ERR_BRIDGE_MISSING',
      'not-found',
    ],
  ])('says so: %s', async (_, request, code, kind) => {
    await net.createNetwork({
      name: 'there',
      ...pool('10.200.0.0/16'),
      options: { 'com.docker.network.bridge.name': 'br-there' },
    })
    await net.createNetwork({ name: 'half', ...halved('10.201.0.0/16', '10.201.0.0/17') })
    const before = traces()

    const creation = net.createNetwork({ name: 'new', ...request })

    await expect(creation).rejects.toMatchObject({ code, kind })
    expect(traces()).toEqual(before)
    expect(net.networks().map(({ name }) => name)).toEqual(['there', 'half'])
    // Nothing is held for it: the same pool, and the same name, can be had.
    await net.createNetwork({ name: 'new', ...pool('10.0.0.0/24') })
  })

  it('covers no name server of the host, where its pool is chosen', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'resolv-'))
    const resolvConf = join(folder, 'resolv.conf')
    writeFileSync(resolvConf, 'nameserver 172.17.0.53\nnameserver fe80::1%eth0\n')
    await using other = await openController({ dns: { resolvConf } })

    expect((await other.createNetwork({ name: 'n' })).ipv4?.pool).toBe('172.18.0.0/16')
    rmSync(folder, { recursive: true })
  })

  it('is undone when the kernel refuses a step: pools, name, bridge and rules', async () => {
    const spoiled = spoiledDriver({
      network: (plan) => ({ ...plan, sysctls: [...plan.sysctls, { path: 'net/ipv4/no_such', value: '1' }] }),
    })
    await using other = await openController({ drivers: [spoiled] })
    const before = traces()

    await expect(
      other.createNetwork({ name: 'n', driver: 'spoiled', ipv6: true, ...pool('10.9.0.0/24') }),
    ).rejects.toMatchObject({ code: 'ERR_SYSCTL' })

    expect(traces()).toEqual(before)
    expect(other.networks()).toEqual([])
    await other.createNetwork({ name: 'n', ...pool('10.9.0.0/24') })
  })

  it.each<[string, Partial<Pool>, string]>([
    ['no CIDR', { pool: 'ten' }, 'ten'],
    ['a pool of the other family', { pool: 'fd00::/64' }, 'fd00::/64'],
    ['a gateway outside the pool', { data: { 'com.docker.network.gateway': '10.6.0.1/24' } }, '10.6.0.1/24'],
  ])('is not made when its address manager answers %s', async (_, answer, said) => {
    const released: string[] = []
    const odd: IpamDriver = {
      ...defaultIpam(),
      name: 'odd',
      requestPool: () => Promise.resolve({ id: 'p', pool: '10.5.0.0/24', data: {}, ...answer }),
      requestAddress: () => Promise.resolve({ address: '10.5.0.1/24', data: {} }),
      releasePool: (id) => Promise.resolve(void released.push(id)),
    }
    await using other = await openController({ ipam: [odd] })

    await expect(other.createNetwork({ name: 'n', ipam: { driver: 'odd' } })).rejects.toMatchObject({
      code: 'ERR_INVALID_IPAM_ANSWER',
      message: expect.stringContaining(`odd answered "${said}"`) as unknown,
    })
    expect(released).toEqual(['p'])
  })

  it('lets others choose while a manager that is not ours takes its time, and is not made of what they chose', async () => {
    const steps = new EventEmitter()
    const released: string[] = []
    const slow: IpamDriver = {
      ...defaultIpam(),
      name: 'slow',
      requestPool: async () => {
        if (steps.emit('asked')) await once(steps, 'answer')
        return { id: 'p', pool: '172.17.0.0/16', data: {} }
      },
      requestAddress: () => Promise.resolve({ address: '172.17.0.1/16', data: {} }),
      releasePool: (id) => Promise.resolve(void released.push(id)),
    }
    await using other = await openController({ ipam: [slow] })

    const asked = once(steps, 'asked')
    const creation = other.createNetwork({ name: 'slow', ipam: { driver: 'slow' } })
    await asked
    expect((await net.createNetwork({ name: 'quick' })).ipv4?.pool).toBe('172.17.0.0/16')
    steps.emit('answer')

    await expect(creation).rejects.toMatchObject({
      ...{ code: 'ERR_POOL_OVERLAP', message: expect.stringContaining('of the host') as string },
    })
    expect([released, other.networks()]).toEqual([['p'], []])
    await net.getNetwork('quick').delete()
    expect((await other.createNetwork({ name: 'slow', ipam: { driver: 'slow' } })).ipv4?.pool).toBe('172.17.0.0/16')
  })

  it('lets exactly one of a hundred conflicting creations succeed', { timeout: 60_000 }, async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 100 }, (_, at) => net.createNetwork({ name: `n${at}`, ...pool('10.66.0.0/16') })),
    )

    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'ERR_POOL_OVERLAP' })
    }
    expect(net.networks()).toHaveLength(1)
  })

  it('is not begun when the call was given up', async () => {
    const before = traces()

    await expect(net.createNetwork({ name: 'n' }, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    )

    expect(traces()).toEqual(before)
    expect(net.networks()).toEqual([])
  })
})
