import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { inNamespaceAt } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, ipIn, nftRuleset } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type Network, type Sandbox } from '../src/index.ts'
import { bothFamilies, plain, spoiledDriver } from './lab.ts'
import { addressesOf, filterBridges, placeIn } from './reach-lab.ts'

await enterFreshHost()

let net: Controller
let network: Network
beforeEach(async () => {
  net = await openController()
  network = await net.createNetwork(bothFamilies)
})
afterEach(() => net.close())

const sysctls = 'com.docker.network.endpoint.sysctls'
const macAddress = 'com.docker.network.endpoint.macaddress'

const setting = (sandbox: Sandbox, path: string): string =>
  inNamespaceAt(sandbox.key, () => readFileSync(`/proc/sys/net/${path}`, 'utf8').trim())

/** Next hops of the default routes, IPv4 first. */
const defaults = (sandbox: Sandbox): string[] =>
  [ipIn(sandbox.key, 'route', 'show', 'default'), ipIn(sandbox.key, '-6', 'route', 'show', 'default')].flatMap(
    (routes) => (routes as { gateway: string }[]).map(({ gateway }) => gateway),
  )

describeKernel('kernel settings of an endpoint', () => {
  it('are made of the interface, whatever it is called', async () => {
    const options = {
      'com.docker.network.endpoint.ifname': 'wan',
      [sysctls]: 'net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.neigh.IFNAME.ucast_solicit=7',
    }
    const { sandbox } = await net.attach({ network, endpoint: { name: 'e', options }, sandbox: { containerId: 'c' } })

    expect(setting(sandbox, 'ipv4/conf/wan/log_martians')).toBe('1')
    expect(setting(sandbox, 'ipv6/neigh/wan/ucast_solicit')).toBe('7')
  })

  it('may put IPv6 off: the endpoint comes without its IPv6 address and routes', async () => {
    const options = { [sysctls]: ['net.ipv6.conf.IFNAME.disable_ipv6=1'] }
    const { sandbox } = await net.attach({ network, endpoint: { name: 'e', options }, sandbox: { containerId: 'c' } })

    expect(ipIn(sandbox.key, '-6', 'addr', 'show', 'eth0')).toEqual([])
    expect(defaults(sandbox)).toEqual(['10.8.0.1'])
  })

  it('that put IPv6 off leave it without an IPv6 address everywhere, and it cannot be asked for', async () => {
    const options = { [sysctls]: 'net.ipv6.conf.IFNAME.disable_ipv6=1' }
    const { endpoint, sandbox } = await net.attach({
      network,
      endpoint: { name: 'e', options, ports: [{ containerPort: 80 }] },
      sandbox: { containerId: 'c' },
    })
    const other = await net.attach({ network, endpoint: { name: 'other' }, sandbox: { containerId: 'other' } })

    expect([endpoint.address, endpoint.address6, other.endpoint.address6]).toEqual([
      '10.8.0.2/24',
      undefined,
      'fd08::2/64',
    ])
    expect(await other.sandbox.resolveName('e')).toEqual(['10.8.0.2'])
    expect(readFileSync(sandbox.files.hosts, 'utf8')).not.toContain('fd08')
    expect(JSON.stringify(nftRuleset())).not.toContain('"fd08::2"')
    await expect(network.createEndpoint({ name: 'six', options, address6: 'fd08::9' })).rejects.toMatchObject({
      code: 'ERR_INVALID_REQUEST',
    })
  })

  it.each([
    'net.ipv4.ip_forward=1',
    'net.ipv4.conf.all.forwarding=1',
    'net.ipv4.conf.eth0.forwarding=1',
    'kernel.x.conf.IFNAME.y=1',
    'net.ipv4.conf.IFNAME.a.b=1',
    'net.ipv4.conf.IFNAME.../../x=1',
    'net.ipv4.conf.IFNAME.forwarding',
    '',
  ])('are refused: %j', async (value) => {
    await expect(network.createEndpoint({ name: 'e', options: { [sysctls]: value } })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      kind: 'bad-request',
      message: expect.stringContaining(`invalid value ${JSON.stringify(value)} of ${sysctls}: expected`) as unknown,
    })
  })

  it('that the kernel does not have end the join, and nothing is left of it', async () => {
    const sandbox = await net.createSandbox({ containerId: 'c' })
    const options = { [sysctls]: 'net.ipv4.conf.IFNAME.no_such=1' }
    const endpoint = await network.createEndpoint({ name: 'e', options })

    await expect(endpoint.join(sandbox)).rejects.toMatchObject({ code: 'ERR_SYSCTL', kind: 'not-found' })

    expect(ipIn(sandbox.key, 'link', 'show')).toMatchObject([{ ifname: 'lo' }])
  })
})

describeKernel('the MAC address of an endpoint', () => {
  it('can be given as a label, as libnetwork has it', async () => {
    const options = { [macAddress]: '02:AB:00:00:00:01' }
    const { sandbox } = await net.attach({ network, endpoint: { name: 'e', options }, sandbox: { containerId: 'c' } })

    expect(ipIn(sandbox.key, 'link', 'show', 'eth0')).toMatchObject([{ address: '02:ab:00:00:00:01' }])
  })

  it('is refused where label and member differ, and where it is none', async () => {
    const options = { [macAddress]: '02:ab:00:00:00:01' }

    await expect(network.createEndpoint({ name: 'e', macAddress: '02:ab:00:00:00:02', options })).rejects.toMatchObject(
      { code: 'ERR_INVALID_REQUEST' },
    )
    await expect(network.createEndpoint({ name: 'e', options: { [macAddress]: 'mac' } })).rejects.toMatchObject({
      code: 'ERR_INVALID_MAC_ADDRESS',
    })
    await expect(network.createEndpoint({ name: 'e', options: { [macAddress]: 7 } })).rejects.toMatchObject({
      code: 'ERR_INVALID_REQUEST',
    })
  })

  it('is told to neighbours who remember another', async () => {
    const quick = { containerId: 'neighbour' }
    const neighbour = await net.attach({ network, endpoint: { name: 'n' }, sandbox: quick })
    const asks = await placeIn(neighbour.sandbox, 'neighbour')
    const wanted = { address: '10.8.0.9', address6: 'fd08::9' }
    const knownAs = (mac: string): string[] =>
      (ipIn(neighbour.sandbox.key, 'neigh', 'show') as { dst: string; lladdr?: string }[])
        .filter(({ lladdr }) => lladdr === mac)
        .map(({ dst }) => dst)
        .sort()

    const first = await net.attach({
      network,
      endpoint: { name: 'first', macAddress: '02:ab:00:00:00:01', ...wanted },
      sandbox: { containerId: 'first' },
    })
    await asks.ask('10.8.0.9', 9)
    await asks.ask('fd08::9', 9)
    expect(knownAs('02:ab:00:00:00:01')).toEqual(['10.8.0.9', 'fd08::9'])
    await first.sandbox.delete()
    // This one has its address from the IPv4 one, and is told of all the same.
    await net.attach({ network, endpoint: { name: 'second', ...wanted }, sandbox: { containerId: 'second' } })

    const mac = '02:42:0a:08:00:09'
    for (let waited = 0; knownAs(mac).length < 2 && waited < 5_000; waited += 50) await sleep(50)
    expect(knownAs(mac)).toEqual(expect.arrayContaining(['10.8.0.9', 'fd08::9']))
    await asks.close()
  })
})

describeKernel('the link-local address', () => {
  const linkLocal = (key: string): { readonly local?: string; readonly scope?: string }[] =>
    (ipIn(key, 'addr', 'show', 'dev', 'eth0') as { addr_info: { local?: string; scope?: string }[] }[])
      .flatMap((link) => link.addr_info)
      .filter(({ scope }) => scope === 'link')

  it('is the one of the MAC address, and usable at once', async () => {
    const { sandbox } = await net.attach({
      network,
      endpoint: { name: 'e', macAddress: '02:ab:00:00:00:07' },
      sandbox: { containerId: 'c' },
    })

    const found = linkLocal(sandbox.key)
    expect(found).toMatchObject([{ local: 'fe80::ab:ff:fe00:7', prefixlen: 64, nodad: true }])
    expect(found).not.toMatchObject([{ tentative: true }])
  })

  it('is made by the kernel where a setting says how', async () => {
    const options = { [sysctls]: 'net.ipv6.conf.IFNAME.addr_gen_mode=3' } // at random
    const { sandbox } = await net.attach({
      network,
      endpoint: { name: 'e', macAddress: '02:ab:00:00:00:08', options },
      sandbox: { containerId: 'c' },
    })

    expect(linkLocal(sandbox.key)).toMatchObject([{ local: expect.not.stringContaining('ff:fe') as unknown }])
  })

  it('comes back where it is taken away', async () => {
    const { sandbox } = await net.attach({ network, endpoint: { name: 'e' }, sandbox: { containerId: 'c' } })
    const local = linkLocal(sandbox.key)[0]?.local ?? ''
    ipIn(sandbox.key, 'addr', 'del', `${local}/64`, 'dev', 'eth0')

    for (let waited = 0; linkLocal(sandbox.key).length === 0 && waited < 5_000; waited += 50) await sleep(50)
    expect(linkLocal(sandbox.key)).toMatchObject([{ local, nodad: true }])
  })
})

describeKernel('link-local addresses that were asked for', () => {
  const asked = ['169.254.7.1', 'FE80::7:1']
  const inPlace = (key: string): string[] =>
    (ipIn(key, 'addr', 'show', 'dev', 'eth0') as { addr_info: { local?: string; prefixlen?: number }[] }[])
      .flatMap((link) => link.addr_info)
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`)

  it('are there beside the others, and neighbours reach them', async () => {
    const { endpoint, sandbox } = await net.attach({
      network,
      endpoint: { name: 'e', linkLocalAddresses: asked },
      sandbox: { containerId: 'c' },
    })
    const other = await net.attach({
      network,
      endpoint: { name: 'other', linkLocalAddresses: ['169.254.7.2'] },
      sandbox: { containerId: 'other' },
    })

    expect(endpoint.linkLocalAddresses).toEqual(['169.254.7.1/16', 'fe80::7:1/64'])
    expect(inPlace(sandbox.key)).toEqual(
      expect.arrayContaining([endpoint.address, endpoint.address6, ...endpoint.linkLocalAddresses]),
    )
    for (const address of ['169.254.7.1', 'fe80::7:1%eth0']) {
      const ping = spawnSync('nsenter', [`--net=${other.sandbox.key}`, 'ping', '-c', '1', '-W', '2', address])
      expect([address, ping.status]).toEqual([address, 0])
    }
    expect((await net.describe()).differences).toEqual([])
  })

  it('are told of where they are missing, and come back', async () => {
    await using quiet = await openController({ drift: 'off' })
    const there = await quiet.createNetwork({ name: 'quiet', ipv6: true })
    const { sandbox } = await quiet.attach({
      network: there,
      endpoint: { name: 'e', linkLocalAddresses: asked },
      sandbox: { containerId: 'c' },
    })
    for (const cidr of ['169.254.7.1/16', 'fe80::7:1/64']) ipIn(sandbox.key, 'addr', 'del', cidr, 'dev', 'eth0')

    expect((await quiet.describe()).differences).toMatchObject([
      { what: 'missing', subject: expect.stringContaining('169.254.7.1/16') as string },
      { what: 'missing', subject: expect.stringContaining('fe80::7:1/64') as string },
    ])

    const watched = await net.attach({
      network,
      endpoint: { name: 'e', linkLocalAddresses: asked },
      sandbox: { containerId: 'c' },
    })
    ipIn(watched.sandbox.key, 'addr', 'del', 'fe80::7:1/64', 'dev', 'eth0')
    await expect.poll(() => inPlace(watched.sandbox.key)).toContain('fe80::7:1/64')
  })

  it.each([
    ['no address', 'x', 'ERR_INVALID_ADDRESS'],
    ['one that is not link-local', '10.8.0.9', 'ERR_INVALID_REQUEST'],
    ['a global one', '2001:db8::1', 'ERR_INVALID_REQUEST'],
  ])('are refused: %s', async (_, address, code) => {
    const creation = network.createEndpoint({ name: 'e', linkLocalAddresses: [address] })

    await expect(creation).rejects.toMatchObject({ code, message: expect.stringContaining(address) as string })
  })

  it('are refused of a family that the network has not', async () => {
    const legacy = await net.createNetwork({ name: 'legacy' })

    await expect(legacy.createEndpoint({ name: 'e', linkLocalAddresses: ['fe80::7:1'] })).rejects.toMatchObject({
      ...{ code: 'ERR_INVALID_REQUEST', message: expect.stringContaining('that network legacy has') as string },
    })
  })
})

describeKernel('routes of an endpoint', () => {
  it('are there once it joined, and go with it', async () => {
    const routes = [
      { destination: '192.0.2.7/24', gateway: '10.8.0.254' },
      { destination: '198.51.100.0/24' },
      { destination: '2001:DB8::/32', gateway: 'fd08::fe' },
    ]
    const { endpoint, sandbox } = await net.attach({
      network,
      endpoint: { name: 'e', routes },
      sandbox: { containerId: 'c' },
    })

    expect(ipIn(sandbox.key, 'route', 'show')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ dst: '192.0.2.0/24', gateway: '10.8.0.254', dev: 'eth0' }),
        expect.objectContaining({ dst: '198.51.100.0/24', dev: 'eth0', scope: 'link' }),
      ]),
    )
    expect(ipIn(sandbox.key, '-6', 'route', 'show')).toEqual(
      expect.arrayContaining([expect.objectContaining({ dst: '2001:db8::/32', gateway: 'fd08::fe' })]),
    )
    await endpoint.leave(sandbox)
    expect(ipIn(sandbox.key, 'route', 'show')).toEqual([])
  })

  it.each([
    [{ destination: '0.0.0.0/0', gateway: '10.8.0.254' }, 'ERR_INVALID_REQUEST'],
    [{ destination: '192.0.2.0/24', gateway: '10.9.0.1' }, 'ERR_INVALID_REQUEST'],
    [{ destination: '192.0.2.0/24', gateway: 'fd08::1' }, 'ERR_INVALID_REQUEST'],
    [{ destination: '192.0.2.0' }, 'ERR_INVALID_CIDR'],
    [{ destination: '192.0.2.0/24', gateway: 'router' }, 'ERR_INVALID_ADDRESS'],
  ])('are refused: %j', async (route, code) => {
    await expect(network.createEndpoint({ name: 'e', routes: [route] })).rejects.toMatchObject({ code })
  })
})

describeKernel('the default route', () => {
  it('is served by the endpoint with the highest priority, and passes on to the next', async () => {
    const other = await net.createNetwork({ name: 'network2', ipv6: true })
    const third = await net.createNetwork({ name: 'network3' })
    const sandbox = await net.createSandbox({ containerId: 'c' })
    const [low, middle, high] = [
      await third.createEndpoint({ name: 'low' }),
      await network.createEndpoint({ name: 'middle' }),
      await other.createEndpoint({ name: 'high' }),
    ]
    const gateways = [plain(other.ipv4?.gateway), plain(other.ipv6?.gateway)]

    await low.join(sandbox, { priority: -5 })
    expect(defaults(sandbox)).toEqual([plain(third.ipv4?.gateway)])
    await middle.join(sandbox)
    expect(defaults(sandbox)).toEqual(['10.8.0.1', 'fd08::1'])
    await high.join(sandbox, { priority: 10 })
    expect(defaults(sandbox)).toEqual(gateways)
    await middle.leave(sandbox)
    expect(defaults(sandbox)).toEqual(gateways)
    await middle.join(sandbox, { priority: 5 })
    expect(defaults(sandbox)).toEqual(gateways)
    await high.leave(sandbox)
    expect(defaults(sandbox)).toEqual(['10.8.0.1', 'fd08::1'])
    await middle.leave(sandbox)
    expect(defaults(sandbox)).toEqual([plain(third.ipv4?.gateway)])
  })

  it('goes back to who served it when an endpoint of higher priority cannot join', async () => {
    const spoiled = spoiledDriver({
      join: (plan) => ({
        ...plan,
        firewall: [
          { kind: 'port', protocol: 'tcp', hostPort: 0, containerAddress: '10.0.0.1', containerPort: 1 } as const,
        ],
      }),
    })
    await using own = await openController({ drivers: [spoiled] })
    const good = await own.createNetwork({ name: 'good', ipam: { pools: [{ pool: '10.61.0.0/24' }] } })
    const bad = await own.createNetwork({ name: 'bad', driver: 'spoiled', ipam: { pools: [{ pool: '10.62.0.0/24' }] } })
    const { sandbox } = await own.attach({ network: good, endpoint: { name: 'e' }, sandbox: { containerId: 'c' } })
    const endpoint = await bad.createEndpoint({ name: 'e' })

    await expect(endpoint.join(sandbox, { priority: 1 })).rejects.toMatchObject({ code: 'ERR_INVALID_PORT' })

    expect(defaults(sandbox)).toEqual(['10.61.0.1'])
  })

  it.each([0.5, NaN, '1'])('takes no priority %j', async (priority) => {
    const sandbox = await net.createSandbox({ containerId: 'c' })
    const endpoint = await network.createEndpoint({ name: 'e' })

    await expect(endpoint.join(sandbox, { priority: priority as number })).rejects.toMatchObject({
      code: 'ERR_INVALID_REQUEST',
    })
  })
})

describeKernel('a container that asks a port it publishes', () => {
  it.each([
    [4, false],
    [4, true],
    [6, false],
    [6, true],
  ] as const)('is answered by itself, over IPv%i, frames on bridges filtered: %j', async (family, filtered) => {
    filterBridges(filtered)
    const ports = [{ containerPort: 80, hostPort: 8080 }]
    const web = await net.attach({ network, endpoint: { name: 'w', ports }, sandbox: { containerId: 'web' } })
    const place = await placeIn(web.sandbox, 'web')

    expect(await place.ask(family === 4 ? '10.8.0.1' : 'fd08::1', 8080)).toMatch('web sees')

    await place.close()
  })
})

describeKernel('the statistics of a sandbox', () => {
  it('count what passes each interface of its endpoints', async () => {
    const one = await net.attach({ network, endpoint: { name: 'one' }, sandbox: { containerId: 'one' } })
    const two = await net.attach({ network, endpoint: { name: 'two' }, sandbox: { containerId: 'two' } })
    const [asks, answers] = [await placeIn(one.sandbox, 'one'), await placeIn(two.sandbox, 'two')]
    const before = (await one.sandbox.statistics()).eth0

    expect(await asks.reaches(addressesOf(two.endpoint)[4], 80)).toBe(true)

    const after = (await one.sandbox.statistics()).eth0
    expect(Object.keys(await one.sandbox.statistics())).toEqual(['eth0'])
    // What was lost before counts for the moment in which one end was up and the other was not yet.
    const { rxDropped, txDropped } = before ?? {}
    expect(after).toMatchObject({ rxErrors: 0, txErrors: 0, rxDropped, txDropped })
    for (const counter of ['rxBytes', 'rxPackets', 'txBytes', 'txPackets'] as const) {
      expect(after?.[counter]).toBeGreaterThan(before?.[counter] ?? Infinity)
    }
    await one.sandbox.delete()
    await expect(one.sandbox.statistics()).rejects.toMatchObject({ code: 'ERR_NO_SUCH_SANDBOX' })
    await Promise.all([asks.close(), answers.close()])
  })
})
