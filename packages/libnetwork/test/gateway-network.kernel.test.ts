import { readFileSync } from 'node:fs'
import type { NetworkDriver, PlannedRoute } from '@net/driverapi'
import { describeKernel, enterFreshHost, ipIn } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openController, type Controller, type Endpoint, type Network, type Sandbox } from '../src/index.ts'
import { fetchFrom, plain, serve, spoiledDriver, StateFolder } from './lab.ts'

await enterFreshHost()

/** Networks that lead nowhere, as those of an overlay do; or by a route of their own that is none of the gateways. */
const routes: PlannedRoute[] = []
const inland: NetworkDriver = {
  ...spoiledDriver({
    join: (plan) => {
      const links = plan.sandbox.links.map((link) => ({ ...link, routes: [...link.routes, ...routes] }))
      return { ...plan, sandbox: { ...plan.sandbox, links, gateways: {} } }
    },
  }),
  type: 'inland',
  needsGatewayNetwork: true,
}

let folder: StateFolder
let net: Controller
let network: Network

const open = async (): Promise<Controller> => {
  net = await openController({ ...folder.places, drivers: [inland] })
  return net
}
beforeEach(async () => {
  folder = new StateFolder('gateway')
  network = await (await open()).createNetwork({ name: 'inland', driver: 'inland' })
})
afterEach(async () => {
  routes.length = 0
  await net.close()
  await folder.expectNothingLeft({ drivers: [inland] })
})

/** Networks of the endpoints of a sandbox, in the order of joining. */
const networksOf = (sandbox: Sandbox): string[] =>
  sandbox.endpoints().map(({ networkId }) => net.getNetwork(networkId).name)

/** Next hop of the sandbox' default route. */
function hopOf({ key }: Sandbox): string | undefined {
  return (ipIn(key, 'route', 'show', 'default') as { gateway: string }[])[0]?.gateway
}

const attach = (name: string) => net.attach({ network, endpoint: { name }, sandbox: { containerId: name } })

describeKernel('a sandbox whose networks lead nowhere', () => {
  it('reaches the outside by the gateway network, on which it has no name', async () => {
    const { sandbox } = await attach('web')
    const other = await attach('other')

    const gateway = net.getNetwork('net_gateway')
    expect(networksOf(sandbox)).toEqual(['inland', 'net_gateway'])
    expect(hopOf(sandbox)).toBe(plain(gateway.ipv4?.gateway))
    const [, endpoint] = sandbox.endpoints()
    expect(readFileSync(sandbox.files.hosts, 'utf8')).not.toContain(plain(endpoint?.address))
    expect(await other.sandbox.resolveName('web')).toEqual([plain(sandbox.endpoints()[0]?.address)])
    expect(await other.sandbox.resolveName(endpoint?.name ?? '')).toEqual([])
    // Who meets only there is a stranger.
    await using _server = await serve(sandbox, 'hello')
    expect(await fetchFrom(other.sandbox, `http://${plain(endpoint?.address)}/`, 700)).toMatch(/^failed/)
    expect(await fetchFrom(other.sandbox, 'http://web/')).toBe('hello')
    expect((await net.describe()).differences).toEqual([])
  })

  it('has another place on it when it is told to leave the one that it has, which is gone for good', async () => {
    const { sandbox } = await attach('web')
    const bridge = await net.createNetwork({ name: 'bridge' })
    const [, left] = sandbox.endpoints()

    await left?.leave(sandbox)
    expect(networksOf(sandbox)).toEqual(['inland', 'net_gateway'])
    expect(hopOf(sandbox)).toBe(plain(net.getNetwork('net_gateway').ipv4?.gateway))

    await (await bridge.createEndpoint({ name: 'web' })).join(sandbox)
    await expect(left?.join(sandbox)).rejects.toMatchObject({ code: 'ERR_NO_SUCH_ENDPOINT' })
    expect(networksOf(sandbox)).toEqual(['inland', 'bridge'])
    expect(net.getNetwork('net_gateway').endpoints()).toEqual([])
  })

  it('has no place on it as long as another network leads out', async () => {
    const { sandbox } = await attach('web')
    const bridge = await net.createNetwork({ name: 'bridge' })
    const endpoint = await bridge.createEndpoint({ name: 'web' })

    await endpoint.join(sandbox)
    expect(networksOf(sandbox)).toEqual(['inland', 'bridge'])
    expect(hopOf(sandbox)).toBe(plain(bridge.ipv4?.gateway))

    await endpoint.leave(sandbox)
    expect(networksOf(sandbox)).toEqual(['inland', 'net_gateway'])
    expect(hopOf(sandbox)).toBe(plain(net.getNetwork('net_gateway').ipv4?.gateway))
  })

  it('is what its endpoints tell of as long as it reaches the outside by it, as libnetwork does', async () => {
    const { sandbox, endpoint } = await attach('web')
    const [, gateway] = sandbox.endpoints()
    const bridge = await net.createNetwork({ name: 'bridge' })
    const other = await bridge.createEndpoint({ name: 'web' })
    const macAddressIn = async (one: Endpoint): Promise<unknown> =>
      (await one.driverInfo())['com.docker.network.endpoint.macaddress']

    expect(await macAddressIn(endpoint)).toBe(gateway?.macAddress)
    expect(await macAddressIn(other)).toBe(other.macAddress)

    await other.join(sandbox)
    expect(await macAddressIn(endpoint)).toBe(endpoint.macAddress)
    await other.leave(sandbox)
    await endpoint.leave(sandbox)
    expect(await macAddressIn(endpoint)).toBe(endpoint.macAddress)
  })

  it('has none once it is on no such network, or only on internal ones', async () => {
    const { sandbox, endpoint } = await attach('web')
    await endpoint.delete({ force: true })
    expect(sandbox.endpoints()).toEqual([])

    const internal = await net.createNetwork({ name: 'internal', driver: 'inland', internal: true })
    await (await internal.createEndpoint({ name: 'web' })).join(sandbox)
    expect(networksOf(sandbox)).toEqual(['internal'])
    expect(net.getNetwork('net_gateway').endpoints()).toEqual([])
  })

  it('uses a network of that name that is there', async () => {
    const made = await net.createNetwork({ name: 'net_gateway', ipam: { pools: [{ pool: '10.9.0.0/24' }] } })
    const { sandbox, endpoint } = await attach('web')

    expect(hopOf(sandbox)).toBe('10.9.0.1')
    expect(made.endpoints()).toHaveLength(1)
    await sandbox.rename('shop')
    expect(endpoint.name).toBe('shop')
    await sandbox.delete()
    expect(made.endpoints()).toEqual([])
  })

  it('has no place on it where its network has a default route of its own among its routes', async () => {
    const hop = plain(network.ipv4?.pool).replace(/0$/, '9')
    routes.push({ destination: '0.0.0.0/0', gateway: hop })
    const { sandbox, endpoint } = await attach('web')

    expect(networksOf(sandbox)).toEqual(['inland'])
    expect(hopOf(sandbox)).toBe(hop)
    expect((await net.describe()).differences).toEqual([])
    await endpoint.leave(sandbox)
    expect(net.findNetwork('net_gateway')).toBeUndefined()
  })

  it('has it after a restart', async () => {
    await attach('web')
    const before = (await net.describe()).host
    await net.close()

    await open()
    expect(networksOf(net.getSandbox('web'))).toEqual(['inland', 'net_gateway'])
    expect((await net.describe()).host).toEqual(before)
  })

  it('is not joined where the gateway network cannot be had', async () => {
    // All of its addresses are taken: the network's own, the host's, and one.
    const full = await net.createNetwork({ name: 'net_gateway', ipam: { pools: [{ pool: '10.9.0.0/30' }] } })
    await full.createEndpoint({ name: 'last' })

    await expect(attach('web')).rejects.toMatchObject({ code: 'ERR_NO_ADDRESS_AVAILABLE' })

    expect([net.sandboxes(), network.endpoints()]).toEqual([[], []])
    expect((await net.describe()).differences).toEqual([])
  })

  describe('and cannot be given it', () => {
    let sandbox: Sandbox
    let other: Network
    let endpoint: Endpoint

    /** A sandbox on two networks, of which only the one leads out; on the gateway network there is no place. */
    beforeEach(async () => {
      const full = await net.createNetwork({ name: 'net_gateway', ipam: { pools: [{ pool: '10.9.0.0/30' }] } })
      await full.createEndpoint({ name: 'last' })
      other = await net.createNetwork({ name: 'other' })
      sandbox = await net.createSandbox({ containerId: 'web' })
      endpoint = await other.createEndpoint({ name: 'web' })
      await endpoint.join(sandbox)
      await (await network.createEndpoint({ name: 'web' })).join(sandbox)
    })

    const told = async (): Promise<object> => {
      for await (const event of net.events({ after: 0 })) if (event.kind === 'gateway-lost') return event
      return {}
    }

    it('is left all the same, and an event says that it reaches the outside no more', async () => {
      await endpoint.leave(sandbox)

      expect(endpoint.sandboxId).toBeUndefined()
      expect(networksOf(sandbox)).toEqual(['inland'])
      expect(await told()).toMatchObject({ containerId: 'web', error: { code: 'ERR_NO_ADDRESS_AVAILABLE' } })
      expect((await net.describe()).differences).toEqual([])
    })

    it('loses an endpoint, or a network with all endpoints, by force', async () => {
      await endpoint.delete({ force: true })
      await (await other.createEndpoint({ name: 'web' })).join(sandbox)
      await other.createEndpoint({ name: 'idle' })

      await other.delete({ force: true })
      expect(net.networks().map(({ name }) => name)).toEqual(['inland', 'net_gateway'])
      expect(networksOf(sandbox)).toEqual(['inland'])
      expect(await told()).toMatchObject({ containerId: 'web' })
    })
  })

  it('loses it when the gateway network is deleted by force, and gets another with its next network', async () => {
    const { sandbox } = await attach('web')
    await attach('other')

    await net.getNetwork('net_gateway').delete({ force: true })
    expect(net.findNetwork('net_gateway')).toBeUndefined()
    expect(networksOf(sandbox)).toEqual(['inland'])
    expect(hopOf(sandbox)).toBeUndefined()

    const second = await net.createNetwork({ name: 'inland2', driver: 'inland' })
    await (await second.createEndpoint({ name: 'web' })).join(sandbox)
    expect(networksOf(sandbox)).toEqual(['inland', 'inland2', 'net_gateway'])
    expect((await net.describe()).differences).toEqual([])
  })
})
