import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { memoryStore } from '@net/datastore'
import { defaultIpam } from '@net/ipam'
import type { IpamDriver } from '@net/ipamapi'
import { openController, type Controller, type ControllerOptions, type CreateNetworkRequest } from '../src/index.ts'
import { expectNothingLeft, plain, spoiledDriver, traces, type Traces } from './lab.ts'

await enterFreshHost()

let before: Traces
let net: Controller

const open = async (options: ControllerOptions = {}): Promise<Controller> => {
  net = await openController(options)
  return net
}
beforeEach(() => {
  before = traces()
})
afterEach(() => expectNothingLeft(net, before))

const settings = {
  ipam: { pools: [{ pool: '10.5.0.0/24', gateway: '10.5.0.9' }] },
  labels: { team: 'red' },
  options: { 'com.docker.network.driver.mtu': '1400' },
} as const

describeKernel('a network of settings alone', () => {
  beforeEach(() => open())

  it('is made into networks that take them over, and is not in the kernel', async () => {
    const config = await net.createNetwork({ name: 'red-config', configOnly: true, ...settings })
    expect(traces().links).toEqual(before.links)
    expect([config.configOnly, config.ipv4]).toEqual([true, undefined])

    const network = await net.createNetwork({ name: 'red', configFrom: 'red-config' })

    expect(network).toMatchObject({
      configFrom: config.id,
      configOnly: false,
      driver: 'bridge',
      labels: { team: 'red' },
    })
    expect(network.ipv4).toMatchObject({ pool: '10.5.0.0/24', gateway: '10.5.0.9/24' })
    expect(network.options).toMatchObject({ mtu: 1400 })
    expect((await net.describe()).differences).toEqual([])
  })

  it('has no endpoints', async () => {
    const config = await net.createNetwork({ name: 'config', configOnly: true })

    await expect(config.createEndpoint({ name: 'one' })).rejects.toMatchObject({
      code: 'ERR_CONFIG_ONLY',
      kind: 'forbidden',
    })
  })

  it('is not deleted while networks are there that were made from it, which it names', async () => {
    const config = await net.createNetwork({ name: 'config', configOnly: true, labels: { a: 'b' } })
    const one = await net.createNetwork({ name: 'one', configFrom: config.id })
    const two = await net.createNetwork({ name: 'two', configFrom: 'config' })

    const refused = config.delete({ force: true })

    await expect(refused).rejects.toMatchObject({
      code: 'ERR_CONFIG_IN_USE',
      message: expect.stringMatching(/in use by networks: one, two$/) as string,
    })
    for (const network of [one, two]) await network.delete()
    await config.delete()
    expect(net.networks()).toEqual([])
  })

  it('is not in use by a network that could not be made', async () => {
    const config = await net.createNetwork({ name: 'config', configOnly: true, ...settings })
    await expect(net.createNetwork({ name: 'one', driver: 'nope', configFrom: 'config' })).rejects.toMatchObject({
      code: 'ERR_NO_SUCH_DRIVER',
    })
    await config.delete()
  })

  it.each<[Partial<CreateNetworkRequest>, string]>([
    [{ configOnly: true, internal: true }, 'internal'],
    [{ configOnly: true, scope: 'local' }, 'scope'],
    [{ configOnly: true, configFrom: 'config' }, 'configFrom'],
    [{ configFrom: 'config', ipv6: true }, 'ipv6'],
    [{ configFrom: 'config', labels: { a: 'b' } }, 'labels'],
    [{ configFrom: 'config', ipam: { driver: 'default' } }, 'ipam'],
    [{ configFrom: 'config', options: {} }, 'options'],
  ])('goes with nothing else: %j', async (request, member) => {
    await net.createNetwork({ name: 'config', configOnly: true })

    await expect(net.createNetwork({ name: 'x', ...request })).rejects.toMatchObject({
      ...{ code: 'ERR_CONFIG_CONFLICT', kind: 'forbidden' },
      message: expect.stringContaining(member) as string,
    })
  })

  it('has to be one', async () => {
    await net.createNetwork({ name: 'plain' })

    for (const configFrom of ['plain', 'nobody']) {
      await expect(net.createNetwork({ name: 'x', configFrom })).rejects.toMatchObject({ code: 'ERR_NO_SUCH_NETWORK' })
    }
    await expect(net.createNetwork({ name: 'x', driver: 'config-only' })).rejects.toMatchObject({
      code: 'ERR_CONFIG_ONLY',
    })
  })

  it('outlives the process, and so does what was made from it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'face-'))
    await net.close()
    const places = { stateDirectory: join(folder, 'state') }
    await open(places)
    const { id } = await net.createNetwork({ name: 'config', configOnly: true, ...settings })
    await net.createNetwork({ name: 'one', configFrom: 'config' })
    await net.close()

    await open({ ...places, onClose: 'delete' })

    expect(net.getNetwork('one').configFrom).toBe(id)
    await expect(net.getNetwork('config').delete()).rejects.toMatchObject({ code: 'ERR_CONFIG_IN_USE' })
    await net.getNetwork('one').delete()
    const again = await net.createNetwork({ name: 'again', configFrom: 'config' })
    expect(again.ipv4).toMatchObject({ pool: '10.5.0.0/24', gateway: '10.5.0.9/24' })
    await net.close()
    rmSync(folder, { recursive: true })
  })
})

describeKernel('the defaults of a controller', () => {
  it('are the driver of networks and the network of those who name none', async () => {
    await open({ drivers: [spoiledDriver({})], defaultDriver: 'spoiled', defaultNetwork: 'blue' })
    const network = await net.createNetwork({ name: 'blue' })
    const { endpoint } = await net.attach({ endpoint: { name: 'web' }, sandbox: { containerId: 'web' } })

    expect(network.driver).toBe('spoiled')
    expect(endpoint.networkId).toBe(network.id)
    expect(net.drivers()).toEqual(['bridge', 'spoiled'])
    expect(net.ipamDrivers()).toEqual(['default', 'null'])
  })

  it('have to be there', async () => {
    await open()
    await expect(net.attach({ endpoint: { name: 'a' }, sandbox: { containerId: 'a' } })).rejects.toMatchObject({
      code: 'ERR_INVALID_REQUEST',
    })
    for (const defaultDriver of ['config-only', ' ']) {
      await expect(openController({ defaultDriver })).rejects.toMatchObject({ code: 'ERR_INVALID_REQUEST' })
    }
    await using other = await openController({ defaultDriver: 'nope' })
    await expect(other.createNetwork({ name: 'x' })).rejects.toMatchObject({ code: 'ERR_NO_SUCH_DRIVER' })
  })
})

describeKernel('scopes', () => {
  it("are those of the network's driver, and nothing else can be asked for", async () => {
    await open({ drivers: [{ ...spoiledDriver({}), type: 'wide', scope: 'global' }] })
    const [local, global] = [
      await net.createNetwork({ name: 'a', scope: 'local' }),
      await net.createNetwork({ name: 'b', driver: 'wide', scope: 'global' }),
    ]

    expect([local.scope, global.scope]).toEqual(['local', 'global'])
    for (const request of [{ driver: 'wide', scope: 'local' } as const, { scope: 'global' } as const]) {
      await expect(net.createNetwork({ name: 'c', ...request })).rejects.toMatchObject({
        ...{ code: 'ERR_SCOPE_MISMATCH', kind: 'forbidden' },
      })
    }
  })
})

describeKernel('what there is', () => {
  beforeEach(() => open())

  it('is found by label, driver, id and name', async () => {
    const one = await net.createNetwork({ name: 'one', labels: { team: 'red', tier: 'a' } })
    const two = await net.createNetwork({ name: 'two', labels: { team: 'red' } })
    const web = await one.createEndpoint({ name: 'web' })
    const db = await two.createEndpoint({ name: 'db' })
    const names = (filter: Parameters<Controller['networks']>[0]): string[] =>
      net.networks(filter).map(({ name }) => name)

    expect(names({ labels: { team: 'red' } })).toEqual(['one', 'two'])
    expect(names({ labels: { team: 'red', tier: 'a' } })).toEqual(['one'])
    expect(names({ driver: 'other' })).toEqual([])
    expect(net.endpoints().map(({ id }) => id)).toEqual([web.id, db.id])
    expect(net.getEndpoint(web.id).name).toBe('web')
    expect(one.getEndpoint('web').id).toBe(web.id)
    expect(one.getEndpoint(web.id).id).toBe(web.id)
    expect([one.findEndpoint('db'), one.findEndpoint(db.id), net.findEndpoint('web')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    for (const get of [() => one.getEndpoint('db'), () => net.getEndpoint('f'.repeat(64))]) {
      expect(get).toThrow(expect.objectContaining({ code: 'ERR_NO_SUCH_ENDPOINT' }) as Error)
    }
  })

  it('says of an endpoint where its sandbox goes out, once it is in one', async () => {
    const one = await net.createNetwork({ name: 'one', ipv6: true })
    const two = await net.createNetwork({ name: 'two' })
    const sandbox = await net.createSandbox({ containerId: 'c' })
    const endpoint = await one.createEndpoint({ name: 'e', routes: [{ destination: '192.0.2.0/24' }] })
    const other = await two.createEndpoint({ name: 'o' })
    expect([endpoint.gateway, endpoint.gateway6]).toEqual([undefined, undefined])

    await endpoint.join(sandbox)
    await other.join(sandbox, { priority: 1 })

    expect([endpoint.gateway, endpoint.gateway6]).toEqual([undefined, plain(one.ipv6?.gateway)])
    expect(other.gateway).toBe(plain(two.ipv4?.gateway))
    expect(endpoint.routes).toEqual([{ destination: '192.0.2.0/24' }])
    expect(endpoint.sandboxId).toBe(sandbox.id)
  })

  it('says what was asked for, of itself and of endpoints', async () => {
    const pool = { pool: '10.6.0.0/16', subPool: '10.6.1.0/24', auxAddresses: { printer: '10.6.1.9' } }
    const network = await net.createNetwork({ name: 'one', ipam: { pools: [pool] } })
    const endpoint = await network.createEndpoint({
      name: 'e',
      aliases: ['www'],
      exposed: [{ protocol: 'udp', port: 53 }],
      options: { 'com.docker.network.endpoint.ifname': 'uplink' },
    })
    await endpoint.join(await net.createSandbox({ containerId: 'c' }), { priority: 7 })

    expect([network.ipam, network.pools]).toEqual([
      'default',
      [{ family: 4, subPool: '10.6.1.0/24', auxAddresses: { printer: '10.6.1.9' } }],
    ])
    expect([endpoint.aliases, endpoint.exposed]).toEqual([['www'], [{ protocol: 'udp', port: 53 }]])
    expect([endpoint.priority, endpoint.options]).toMatchObject([7, { interfaceName: 'uplink' }])
  })

  it('is attached as a join is: with a priority and names of its own', async () => {
    const network = await net.createNetwork({ name: 'one' })
    const { endpoint, sandbox } = await net.attach({
      ...{ network, endpoint: { name: 'web' }, sandbox: { containerId: 'c', labels: { tier: 'web' } } },
      join: { priority: 5, aliases: { db: 'web' } },
    })

    expect(endpoint.priority).toBe(5)
    expect(sandbox.labels).toEqual({ tier: 'web' })
    expect(await sandbox.resolveName('db')).toEqual([plain(endpoint.address)])
    const wrong = net.attach({
      ...{ network, endpoint: { name: 'x' }, sandbox: { containerId: 'x' } },
      join: { priority: 0.5 },
    })
    await expect(wrong).rejects.toMatchObject({
      ...{ code: 'ERR_INVALID_REQUEST', message: expect.stringContaining('join.priority') as string },
    })
  })

  it('is deleted while endpoints are on it only by force', async () => {
    const network = await net.createNetwork({ name: 'one' })
    const { sandbox } = await net.attach({ network, endpoint: { name: 'web' }, sandbox: { containerId: 'c' } })
    await network.createEndpoint({ name: 'free' })

    await expect(network.delete()).rejects.toMatchObject({
      code: 'ERR_ACTIVE_ENDPOINTS',
      message: expect.stringMatching(/web, free$/) as string,
    })
    await network.delete({ force: true })

    expect([net.networks(), net.endpoints(), sandbox.endpoints()]).toEqual([[], [], []])
    expect((await net.describe()).differences).toEqual([])
  })
})

describeKernel('what an address manager is told beside', () => {
  it('reaches it with every request, also when the process has been another, and is said again', async () => {
    const stores = { local: memoryStore() }
    const asked: string[] = []
    const telling = (): IpamDriver => {
      const ipam = defaultIpam()
      return {
        ...{ name: 'telling', addressSpaces: ipam.addressSpaces, capabilities: ipam.capabilities },
        requestPool: (request, call) => {
          asked.push(`pool ${JSON.stringify(request.options)}`)
          return ipam.requestPool(request, call)
        },
        requestAddress: (poolId, request, call) => {
          if (request?.purpose !== 'gateway') asked.push(`address ${JSON.stringify(request?.options)}`)
          return ipam.requestAddress(poolId, request, call)
        },
        releasePool: (poolId, call) => ipam.releasePool(poolId, call),
        releaseAddress: (poolId, address, call) => ipam.releaseAddress(poolId, address, call),
      }
    }
    await open({ stores, ipam: [telling()], onClose: 'keep' })
    const before = Date.now()
    const settings = { ipam: { driver: 'telling', options: { vlan: '7' } } }
    await net.createNetwork({ name: 'settings', configOnly: true, ...settings })
    const network = await net.createNetwork({ name: 'one', configFrom: 'settings' })
    await network.createEndpoint({ name: 'e', ipamOptions: { lease: 'long' } })
    const wanted = ['pool {"vlan":"7"}', 'address {"lease":"long"}']
    expect(asked.splice(0)).toEqual(wanted)
    const created = network.created?.getTime() ?? 0
    expect(created >= before && created <= Date.now()).toBe(true)
    await net.close()

    await open({ stores, ipam: [telling()], onClose: 'delete' })

    expect(asked).toEqual(wanted)
    expect(net.getNetwork('one')).toMatchObject({ ipamOptions: { vlan: '7' }, created: new Date(created) })
    expect(net.getNetwork('one').getEndpoint('e').ipamOptions).toEqual({ lease: 'long' })
    await net.close()
    await stores.local.close()
  })
})
