import { readFileSync } from 'node:fs'
import { addAddress, deleteLink, RouteSocket } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, ip } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type CreateNetworkRequest } from '../src/index.ts'
import { spoiledDriver } from './lab.ts'
import { addressesOf, Outside, outsideAddress, placeIn } from './reach-lab.ts'

await enterFreshHost()

const name = 'com.docker.network.bridge.name'
let net: Controller
beforeEach(async () => {
  net = await openController()
  using routes = RouteSocket.open()
  const { index } = routes.createLink({ kind: 'bridge', name: 'br111', macAddress: '02:00:00:00:01:11' })
  routes.apply(addAddress({ index, address: '192.168.122.1/24' }))
})
afterEach(async () => {
  await net.close()
  using routes = RouteSocket.open()
  routes.apply(deleteLink('br111'))
})

/** A network on the bridge that is there, with that subnet and gateway. */
const on = (pool: string, gateway?: string): CreateNetworkRequest => ({
  name: 'network1',
  ipam: { pools: [{ pool, gateway }] },
  options: { [name]: 'br111', 'com.docker.network.driver.mtu': 1400 },
})

/** What must not change: everything but whether it is up, and its group. */
function bridge(): unknown {
  const [link] = ip('addr', 'show', 'br111') as { addr_info: { local: string; scope: string }[]; address: string }[]
  const addresses = link?.addr_info.filter(({ scope }) => scope === 'global').map(({ local }) => local)
  return { ...pick(link), addresses, settings: settings() }
}

function pick(link: unknown): object {
  const { address, mtu, ifalias, group } = link as Record<string, unknown>
  return { address, mtu, ifalias, group }
}

function settings(): string[] {
  return ['ipv4/conf/br111/route_localnet', 'ipv6/conf/br111/disable_ipv6', 'ipv6/conf/br111/accept_ra'].map((path) =>
    readFileSync(`/proc/sys/net/${path}`, 'utf8').trim(),
  )
}

describeKernel('a bridge that is there already', () => {
  // libnetwork: bridge.TestCreateNetwork… on br111: address and device outlive the network
  it('keeps its address, its settings and its MTU, and stays when the network goes', async () => {
    const before = bridge()

    const network = await net.createNetwork(on('192.168.122.0/24'))
    expect(network.ipv4?.gateway).toBe('192.168.122.1/24')
    expect(bridge()).toMatchObject({ addresses: ['192.168.122.1'], mtu: 1500, address: '02:00:00:00:01:11' })
    expect(ip('link', 'show', 'br111')).toMatchObject([{ flags: expect.arrayContaining(['UP']) as unknown }])
    await network.delete()

    expect(bridge()).toEqual(before)
  })

  it('carries a network: containers reach the outside, and their ports are published', async () => {
    const outside = await Outside.open()
    const network = await net.createNetwork(on('192.168.122.0/24'))
    const ports = [{ containerPort: 80, hostPort: 8080 }]
    const web = await net.attach({ network, endpoint: { name: 'w', ports }, sandbox: { containerId: 'web' } })
    const place = await placeIn(web.sandbox, 'web')

    expect(await place.ask(outsideAddress[4], 80)).toBe('outside sees 192.0.2.1')
    expect(await outside.place.ask('192.0.2.1', 8080)).toBe('web sees 192.0.2.2')
    expect(await outside.place.reaches(addressesOf(web.endpoint)[4], 80)).toBe(false)

    await Promise.all([place.close(), outside.close()])
  })

  it('is given the gateway address where it has none in the subnet, as long as the network is there', async () => {
    const before = bridge()

    const network = await net.createNetwork({
      ...on('10.7.0.0/24'),
      ipam: { pools: [{ pool: '10.7.0.0/24' }, { pool: 'fd07::/64' }] },
    })
    expect(bridge()).toMatchObject({ addresses: ['192.168.122.1', '10.7.0.1', 'fd07::1'] })
    await network.delete()

    expect(bridge()).toEqual(before)
  })

  it('is given no address with inhibit_ipv4', async () => {
    const request = on('10.7.0.0/24')
    await net.createNetwork({
      ...request,
      options: { ...request.options, 'com.docker.network.bridge.inhibit_ipv4': 'true' },
    })

    expect(bridge()).toMatchObject({ addresses: ['192.168.122.1'] })
  })

  it.each([
    [
      'another address of the subnet',
      on('192.168.122.0/24', '192.168.122.5'),
      '192.168.122.1/24, not 192.168.122.5/24',
    ],
    ['its address in another subnet', on('192.168.0.0/16', '192.168.122.1'), '192.168.122.1/24, not 192.168.122.1/16'],
  ])('is refused where the gateway is %s, which both are named', async (_, request, said) => {
    const before = bridge()

    await expect(net.createNetwork(request)).rejects.toMatchObject({
      code: 'ERR_BRIDGE_ADDRESS',
      kind: 'forbidden',
      message: expect.stringContaining(said) as unknown,
    })

    expect(bridge()).toEqual(before)
    // Nothing is held for it.
    await net.createNetwork(on('192.168.122.0/24'))
  })

  it('is refused where it is the bridge of another controller', async () => {
    await using other = await openController()
    await other.createNetwork({ name: 'theirs', options: { [name]: 'br-theirs' } })

    await expect(net.createNetwork({ name: 'ours', options: { [name]: 'br-theirs' } })).rejects.toMatchObject({
      code: 'ERR_BRIDGE_IN_USE',
    })
  })

  it('is as it was when a step of making the network fails', async () => {
    const before = bridge()
    const spoiled = spoiledDriver({
      network: (plan) => ({ ...plan, sysctls: [...plan.sysctls, { path: 'net/ipv4/no_such', value: '1' }] }),
    })
    await using other = await openController({ drivers: [spoiled] })

    await expect(other.createNetwork({ ...on('10.7.0.0/24'), driver: 'spoiled' })).rejects.toMatchObject({
      code: 'ERR_SYSCTL',
    })

    expect(bridge()).toEqual(before)
  })
})
