import { execFileSync } from 'node:child_process'
import { createServer } from 'node:net'
import { existsSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { JoinPlan } from '@net/driverapi'
import { describeKernel, enterFreshHost, ip, ipIn } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openController, type Controller, type CreateEndpointRequest, type Network } from '../src/index.ts'
import { bothFamilies, plain, spoiledDriver, traces } from './lab.ts'

await enterFreshHost()

let net: Controller
let network: Network
beforeEach(async () => {
  net = await openController()
  network = await net.createNetwork(bothFamilies)
})
afterEach(() => net.close())

describeKernel('an endpoint', () => {
  it('takes the next addresses, and its MAC address from the IPv4 one', async () => {
    const endpoint = await network.createEndpoint({ name: 'one' })

    expect(endpoint).toMatchObject({
      name: 'one',
      networkId: network.id,
      address: '10.8.0.2/24',
      address6: 'fd08::2/64',
      macAddress: '02:42:0a:08:00:02',
    })
    expect(await endpoint.driverInfo()).toEqual({ 'com.docker.network.endpoint.macaddress': '02:42:0a:08:00:02' })
    expect(network.endpoints().map(({ id }) => id)).toEqual([endpoint.id])
  })

  it('takes addresses and a MAC address as asked', async () => {
    const endpoint = await network.createEndpoint({
      name: 'one',
      address: '10.8.0.77',
      address6: 'fd08::77',
      macAddress: '02:AB:00:00:00:01',
    })

    expect(endpoint).toMatchObject({
      address: '10.8.0.77/24',
      address6: 'fd08::77/64',
      macAddress: '02:ab:00:00:00:01',
    })
  })

  it.each<[string, Partial<CreateEndpointRequest>, string, string]>([
    ['a name that exists', { name: 'there' }, 'ERR_ENDPOINT_EXISTS', 'forbidden'],
    ['an address in use', { address: '10.8.0.2' }, 'ERR_ADDRESS_IN_USE', 'forbidden'],
    ['the address of the gateway', { address6: 'fd08::1' }, 'ERR_ADDRESS_IN_USE', 'forbidden'],
    ['an address outside the pool', { address: '10.9.0.2' }, 'ERR_ADDRESS_OUT_OF_RANGE', 'bad-request'],
    ['an address of the other family', { address: 'fd08::9' }, 'ERR_INVALID_REQUEST', 'bad-request'],
    ['an address that is none', { address: '10.8.0.300' }, 'ERR_INVALID_ADDRESS', 'bad-request'],
    ['a MAC address that is none', { macAddress: '02:42' }, 'ERR_INVALID_MAC_ADDRESS', 'bad-request'],
    ['a group MAC address', { macAddress: '01:00:5e:00:00:01' }, 'ERR_INVALID_MAC_ADDRESS', 'bad-request'],
    ['a port in use', { ports: [{ containerPort: 80, hostPort: 7777 }] }, 'ERR_PORT_IN_USE', 'forbidden'],
    ['a port that is none', { ports: [{ containerPort: 0 }] }, 'ERR_INVALID_REQUEST', 'bad-request'],
    [
      'a host address that is not ours',
      { ports: [{ containerPort: 80, hostAddress: '192.0.2.1' }] },
      'ERR_NOT_HOST_ADDRESS',
      'bad-request',
    ],
    [
      'an interface name over 15 bytes',
      { options: { 'com.docker.network.endpoint.ifname': 'sixteen-bytes-xx' } },
      'ERR_INVALID_OPTION',
      'bad-request',
    ],
  ])('is refused for %s, and nothing is held', async (_, request, code, kind) => {
    await network.createEndpoint({ name: 'there', ports: [{ containerPort: 80, hostPort: 7777 }] })

    await expect(
      network.createEndpoint({ name: 'new', ports: [{ containerPort: 81, hostPort: 7778 }], ...request }),
    ).rejects.toMatchObject({ code, kind })

    expect(network.endpoints().map(({ name }) => name)).toEqual(['there'])
    expect(await network.createEndpoint({ name: 'new', ports: [{ containerPort: 81, hostPort: 7778 }] })).toMatchObject(
      { address: '10.8.0.3/24' },
    )
  })

  it('can be deleted while it is being made: it is made first, then gone', async () => {
    const making = network.createEndpoint({ name: 'one', address: '10.8.0.60' })
    while (network.endpoints().length === 0) await nextTurn()
    const [early] = network.endpoints()

    await Promise.all([making, early?.publish([{ containerPort: 80 }]), early?.delete()])

    expect(network.endpoints()).toEqual([])
    expect(await network.createEndpoint({ name: 'one', address: '10.8.0.60' })).toMatchObject({ name: 'one' })
  })

  it('lets everything go when it is deleted, once or twice', async () => {
    const request = { name: 'one', address: '10.8.0.50', ports: [{ containerPort: 80, hostPort: 7001 }] }
    const endpoint = await network.createEndpoint(request)

    await endpoint.delete()
    await endpoint.delete()

    expect(await network.createEndpoint(request)).toMatchObject({ address: '10.8.0.50/24' })
  })

  it('says that the pool is used up', async () => {
    const tiny = await net.createNetwork({ name: 'tiny', ipam: { pools: [{ pool: '10.8.1.0/30' }] } })
    await tiny.createEndpoint({ name: 'one' })

    await expect(tiny.createEndpoint({ name: 'two' })).rejects.toMatchObject({
      code: 'ERR_NO_ADDRESS_AVAILABLE',
      kind: 'no-service',
    })
  })
})

describeKernel('a sandbox', () => {
  it('is one a container, found by its id and the container', async () => {
    const sandbox = await net.createSandbox({ containerId: 'container1', hostname: 'test', domainname: 'docker.io' })

    expect(sandbox).toMatchObject({ containerId: 'container1', hostname: 'test', domainname: 'docker.io' })
    expect(sandbox.key).toBe(`/run/net/${net.id}/${sandbox.id.slice(0, 12)}`)
    expect(ipIn(sandbox.key, 'link', 'show')).toMatchObject([{ ifname: 'lo' }])
    expect(net.getSandbox('container1').id).toBe(sandbox.id)
    expect(net.findSandbox('container2')).toBeUndefined()
    await expect(net.createSandbox({ containerId: 'container1' })).rejects.toMatchObject({
      code: 'ERR_CONTAINER_HAS_SANDBOX',
    })
    await sandbox.delete()
    await sandbox.delete()
    expect(existsSync(sandbox.key)).toBe(false)
    expect(() => net.getSandbox('container1')).toThrow(
      expect.objectContaining({ code: 'ERR_NO_SUCH_SANDBOX' }) as Error,
    )
  })

  it.each([{ containerId: '' }, { containerId: 'c', hostname: 'with space' }, { containerId: 'c', hostnam: 'x' }])(
    'is refused for %j',
    async (request) => {
      await expect(net.createSandbox(request)).rejects.toMatchObject({ code: 'ERR_INVALID_REQUEST' })
    },
  )
})

describeKernel('joining', () => {
  it('is for one sandbox at a time, and for those that are there', async () => {
    const [one, two] = [await net.createSandbox({ containerId: '1' }), await net.createSandbox({ containerId: '2' })]
    const endpoint = await network.createEndpoint({ name: 'one' })

    await expect(endpoint.leave(one)).rejects.toMatchObject({ code: 'ERR_ENDPOINT_NOT_JOINED' })
    await endpoint.join(one)
    expect(endpoint).toMatchObject({ sandboxId: one.id, interfaceName: 'eth0' })
    await expect(endpoint.join(one)).rejects.toMatchObject({ code: 'ERR_ENDPOINT_JOINED', kind: 'forbidden' })
    await expect(endpoint.join(two)).rejects.toMatchObject({ code: 'ERR_ENDPOINT_JOINED' })
    await expect(endpoint.leave(two)).rejects.toMatchObject({ code: 'ERR_ENDPOINT_NOT_JOINED' })
    await expect(endpoint.delete()).rejects.toMatchObject({ code: 'ERR_ENDPOINT_JOINED' })
    await expect(endpoint.join('nobody')).rejects.toMatchObject({ code: 'ERR_NO_SUCH_SANDBOX' })

    await endpoint.leave(one.id)
    expect(ipIn(one.key, 'link', 'show')).toMatchObject([{ ifname: 'lo' }])
    await endpoint.join(two)
    await endpoint.delete({ force: true })
    expect(ipIn(two.key, 'link', 'show')).toMatchObject([{ ifname: 'lo' }])
    await expect(endpoint.join(one)).rejects.toMatchObject({ code: 'ERR_NO_SUCH_ENDPOINT' })
  })

  it.each([undefined, null, 7, {}])('is not for %j, which is no sandbox', async (sandbox) => {
    const endpoint = await network.createEndpoint({ name: 'one' })

    await expect(endpoint.join(sandbox as never)).rejects.toMatchObject({ code: 'ERR_INVALID_REQUEST' })
  })

  it('several networks gives an interface for each; the default route passes on when its endpoint leaves', async () => {
    const other = await net.createNetwork({ name: 'network2', ipv6: true })
    const inner = await net.createNetwork({ name: 'cut-off', internal: true })
    const sandbox = await net.createSandbox({ containerId: 'c' })
    const [zero, one, two] = [
      await inner.createEndpoint({ name: 'zero' }),
      await network.createEndpoint({ name: 'one' }),
      await other.createEndpoint({ name: 'two' }),
    ]
    const defaults = (): unknown[] =>
      [
        ...(ipIn(sandbox.key, 'route', 'show', 'default') as { gateway: string }[]),
        ...(ipIn(sandbox.key, '-6', 'route', 'show', 'default') as { gateway: string }[]),
      ].map(({ gateway }) => gateway)

    await zero.join(sandbox)
    expect(defaults()).toEqual([])
    await one.join(sandbox)
    await two.join(sandbox)

    expect([zero, one, two].map(({ interfaceName }) => interfaceName)).toEqual(['eth0', 'eth1', 'eth2'])
    expect(defaults()).toEqual(['10.8.0.1', 'fd08::1'])
    await one.leave(sandbox)
    expect(defaults()).toEqual([plain(other.ipv4?.gateway), plain(other.ipv6?.gateway)])
    await one.join(sandbox)
    expect(one.interfaceName).toBe('eth1')
  })

  it('ends although the default route cannot be passed on', async () => {
    const other = await net.createNetwork({ name: 'network2' })
    const sandbox = await net.createSandbox({ containerId: 'container1' })
    const first = await network.createEndpoint({ name: 'one' })
    const second = await other.createEndpoint({ name: 'two' })
    await first.join(sandbox)
    await second.join(sandbox)
    execFileSync('nsenter', [`--net=${sandbox.key}`, 'ip', 'link', 'delete', second.interfaceName ?? ''])

    await first.delete({ force: true })

    expect(network.endpoints()).toEqual([])
    expect(sandbox.endpoints().map(({ id }) => id)).toEqual([second.id])
  })

  it('puts IPv6 off on an interface without an IPv6 address', async () => {
    const plainNetwork = await net.createNetwork({ name: 'v4' })
    const { sandbox } = await net.attach({
      network: plainNetwork,
      endpoint: { name: 'one' },
      sandbox: { containerId: 'c' },
    })

    expect(ipIn(sandbox.key, '-6', 'addr', 'show', 'eth0')).toEqual([])
  })
})

describeKernel('attaching', () => {
  it.each([
    [undefined, 'expected object'],
    [{ endpoint: { name: 'e' }, sandbox: { containerId: 'c' } }, 'network: expected a network, its id or its name'],
    [{ network: 'network1', endpoint: { name: 'e' } }, 'sandbox: '],
  ])('is not begun for %j', async (request, problem) => {
    await expect(net.attach(request as never)).rejects.toMatchObject({
      code: 'ERR_INVALID_REQUEST',
      message: expect.stringContaining(problem) as unknown,
    })
    expect(network.endpoints()).toEqual([])
  })

  it('is endpoint, sandbox and join as one, and detaching takes all back', async () => {
    const before = traces()

    const attached = await net.attach({
      network: 'network1',
      endpoint: { name: 'one', ports: [{ containerPort: 80 }] },
      sandbox: { containerId: 'c' },
    })
    expect(attached.sandbox.endpoints().map(({ name }) => name)).toEqual(['one'])
    await attached.detach()
    await attached.detach()

    expect(net.sandboxes()).toEqual([])
    expect(network.endpoints()).toEqual([])
    await gone(before)
  })

  describe('is undone', () => {
    const spoil = (change: (plan: JoinPlan) => JoinPlan): Promise<Controller> =>
      openController({ drivers: [spoiledDriver({ join: change })] })
    const changeLink = (plan: JoinPlan, changes: Partial<JoinPlan['sandbox']['links'][0]>): JoinPlan => ({
      ...plan,
      sandbox: { ...plan.sandbox, links: plan.sandbox.links.map((link) => ({ ...link, ...changes })) },
    })

    it.each<[string, (plan: JoinPlan) => JoinPlan, string]>([
      [
        'its bridge is gone',
        (plan) => changeLink(plan, { create: { kind: 'veth', hostName: 'vethx', master: 'br-none' } }),
        'ERR_LINK_NOT_FOUND',
      ],
      [
        "the name of its host interface is somebody's",
        (plan) => changeLink(plan, { create: { ...plan.sandbox.links[0]!.create, hostName: 'lo' } }),
        'ERR_INTERFACE_EXISTS',
      ],
      [
        'a setting in the sandbox is refused',
        (plan) => changeLink(plan, { sysctls: [{ path: 'net/ipv4/no_such', value: '1' }] }),
        'ERR_SYSCTL',
      ],
      [
        'a route is refused',
        (plan) => changeLink(plan, { routes: [{ destination: '192.0.2.0/24', gateway: '203.0.113.1' }] }),
        'ERR_NETLINK',
      ],
      [
        'the packet rules are refused',
        (plan) => ({ ...plan, firewall: [...plan.firewall, ...plan.firewall] }),
        'ERR_PORT_PUBLISHED',
      ],
    ])('when %s', async (_, change, code) => {
      await using other = await spoil(change)
      await other.createNetwork({ name: 'n', driver: 'spoiled', ipam: { pools: [{ pool: '10.77.0.0/24' }] } })
      const before = traces()
      const request = {
        network: 'n',
        endpoint: { name: 'one', ports: [{ containerPort: 80, hostPort: 7100 }] },
        sandbox: { containerId: 'c' },
      }

      await expect(other.attach(request)).rejects.toMatchObject({ code })

      expect(other.sandboxes()).toEqual([])
      expect(other.getNetwork('n').endpoints()).toEqual([])
      await gone(before)
      await expectFree(7100)
      expect((await other.getNetwork('n').createEndpoint({ name: 'one' })).address).toBe('10.77.0.2/24')
    })

    it('when the container has a sandbox already', async () => {
      await net.createSandbox({ containerId: 'c' })

      await expect(
        net.attach({ network, endpoint: { name: 'one' }, sandbox: { containerId: 'c' } }),
      ).rejects.toMatchObject({ code: 'ERR_CONTAINER_HAS_SANDBOX' })

      expect(network.endpoints()).toEqual([])
      expect(net.sandboxes()).toHaveLength(1)
    })

    it('when it is given up, at whichever step', async () => {
      const before = traces()
      for (let turns = 0; turns < 12; turns++) {
        const abort = new AbortController()
        const attaching = net.attach(
          { network, endpoint: { name: 'one', ports: [{ containerPort: 80 }] }, sandbox: { containerId: 'c' } },
          { signal: abort.signal },
        )
        const others = Array.from({ length: 3 }, (_, at) => net.createSandbox({ containerId: `busy${at}` }))
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
        abort.abort(new Error('enough'))

        const [result] = await Promise.allSettled([attaching, ...others])
        if (result.status === 'fulfilled') await result.value.detach()
        else expect(result.reason).toMatchObject({ message: 'enough' })
        for (const sandbox of net.sandboxes()) await sandbox.delete()
        expect(network.endpoints()).toEqual([])
      }
      await gone(before)
    })
  })

  it('many at once gives each its own', { timeout: 60_000 }, async () => {
    const attached = await Promise.all(
      Array.from({ length: 60 }, (_, at) =>
        net.attach({
          network,
          endpoint: { name: `e${at}`, ports: [{ containerPort: 80 }] },
          sandbox: { containerId: `c${at}` },
        }),
      ),
    )

    const distinct = (values: readonly unknown[]): number => new Set(values).size
    expect(distinct(attached.map(({ endpoint }) => endpoint.address))).toBe(60)
    expect(distinct(attached.map(({ endpoint }) => endpoint.address6))).toBe(60)
    expect(distinct(attached.map(({ endpoint }) => endpoint.ports()[0]?.hostPort))).toBe(60)
    expect((ip('link', 'show', 'type', 'veth') as unknown[]).length).toBe(60)
    await Promise.all(attached.map((attachment) => attachment.detach()))
    expect(net.sandboxes()).toEqual([])
  })
})

describeKernel('publishing', () => {
  it('says which host ports were got, is all or none, and can be taken back', async () => {
    const { endpoint } = await net.attach({ network, endpoint: { name: 'one' }, sandbox: { containerId: 'c' } })

    const ports = await endpoint.publish([
      { containerPort: 80, hostPort: 7200 },
      { protocol: 'udp', containerPort: 53 },
      { containerPort: 80, hostAddress: '127.0.0.1' },
    ])

    expect(ports[0]).toMatchObject({ protocol: 'tcp', containerPort: 80, hostPort: 7200 })
    expect(endpoint.ports()).toEqual(ports)
    const before = traces()
    await expect(
      endpoint.publish([
        { containerPort: 81, hostPort: 7201 },
        { containerPort: 82, hostPort: 7200 },
      ]),
    ).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE' })
    expect(traces()).toEqual(before)
    await expectFree(7201)

    await expect(endpoint.unpublish([{ containerPort: 99 }])).rejects.toMatchObject({ code: 'ERR_PORT_NOT_PUBLISHED' })
    await expect(endpoint.unpublish([{ containerPort: 80 }, { containerPort: 99 }])).rejects.toMatchObject({
      code: 'ERR_PORT_NOT_PUBLISHED',
    })
    expect(endpoint.ports()).toEqual(ports)
    await endpoint.unpublish([{ containerPort: 80, hostPort: 7200 }])
    await expectFree(7200)
    await endpoint.unpublish([{ containerPort: 80 }, { protocol: 'udp', containerPort: 53 }])
    expect(endpoint.ports()).toEqual([])
  })

  it('is refused on an internal network, and for a family that the endpoint does not have', async () => {
    const inner = await net.createNetwork({ name: 'cut-off', internal: true })
    const endpoint = await inner.createEndpoint({ name: 'one' })
    const v4 = await (await net.createNetwork({ name: 'v4' })).createEndpoint({ name: 'one' })

    await expect(endpoint.publish([{ containerPort: 80 }])).rejects.toMatchObject({ code: 'ERR_INTERNAL_NETWORK' })
    await expect(inner.createEndpoint({ name: 'two', ports: [{ containerPort: 80 }] })).rejects.toMatchObject({
      code: 'ERR_INTERNAL_NETWORK',
    })
    await expect(v4.publish([{ containerPort: 80, hostAddress: '::1' }])).rejects.toMatchObject({
      code: 'ERR_FAMILY_MISMATCH',
    })
  })
})

/** The kernel takes links of dropped namespaces down a little later: waits for that, by its own events. */
async function gone(before: ReturnType<typeof traces>): Promise<void> {
  const deadline = Date.now() + 10_000
  while (traces().links.length > before.links.length && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  expect(traces()).toEqual(before)
}

/** That nobody holds the port any more. */
async function expectFree(port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, '::', () => {
      server.close(() => {
        resolve()
      })
    })
  })
}
