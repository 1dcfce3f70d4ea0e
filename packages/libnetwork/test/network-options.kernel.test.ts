import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { addAddress, inNamespaceAt, RouteSocket } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, ip, ipIn } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openController, type Controller, type CreateNetworkRequest, type Network, type Sandbox } from '../src/index.ts'
import { addressesOf, Outside, outsideAddress, placeIn, type Place } from './reach-lab.ts'

await enterFreshHost()

let net: Controller
let outside: Outside
beforeEach(async () => {
  net = await openController()
  outside = await Outside.open('lan0')
})
afterEach(async () => {
  await outside.close()
  await net.close()
})

function create(options: CreateNetworkRequest['options'], ipv6 = true): Promise<Network> {
  const pools = [{ pool: '10.8.0.0/24' }, ...(ipv6 ? [{ pool: 'fd08::/64' }] : [])]
  return net.createNetwork({ name: 'network1', ipam: { pools }, options })
}

/** A container of the network that publishes port 80. */
async function serve(network: Network): Promise<{ place: Place; address: Record<4 | 6, string> }> {
  const ports = [{ containerPort: 80, hostPort: 8080 }]
  const { endpoint, sandbox } = await net.attach({
    network,
    endpoint: { name: 'web', ports },
    sandbox: { containerId: 'web' },
  })
  return { place: await placeIn(sandbox, 'web'), address: addressesOf(endpoint) }
}

/** How many reports of groups (RFC 3810) the container has sent. */
function reportsOf({ key }: Sandbox): number {
  const counters = inNamespaceAt(key, () => readFileSync('/proc/thread-self/net/dev_snmp6/eth0', 'utf8'))
  return Number(/^Icmp6OutType143\s+(\d+)$/m.exec(counters)?.[1] ?? 0)
}

describeKernel('a network', () => {
  it('leaves with the address of the host that it is given, in both families', async () => {
    using routes = RouteSocket.open()
    const { index } = routes.getLink('lan0')
    const other = { ipv4: '192.0.2.77', ipv6: '2001:db8::77' }
    routes.apply(addAddress({ index, address: `${other.ipv4}/24` }), addAddress({ index, address: `${other.ipv6}/64` }))
    const { place } = await serve(
      await create({ 'com.docker.network.host_ipv4': other.ipv4, 'com.docker.network.host_ipv6': other.ipv6 }),
    )

    expect(await place.ask(outsideAddress[4], 80)).toBe(`outside sees ${other.ipv4}`)
    expect(await place.ask(outsideAddress[6], 80)).toBe(`outside sees ${other.ipv6}`)
    await place.close()
  })

  it.each([4, 6] as const)(
    'is asked at its own addresses from interfaces that are trusted, at what it publishes, over IPv%i',
    async (family) => {
      const { place, address } = await serve(
        await create({ 'com.docker.network.bridge.trusted_host_interfaces': 'eth9:lan0' }),
      )

      expect(await outside.place.reaches(address[family], 80)).toBe(true)
      expect(await outside.place.reaches(address[family], 81)).toBe(false)
      await place.close()
    },
  )

  it('has no IPv4 address on its bridge with inhibit_ipv4, and its containers go by its gateway all the same', async () => {
    const network = await create({
      'com.docker.network.bridge.inhibit_ipv4': 'true',
      'com.docker.network.bridge.name': 'br-bare',
    })
    const { sandbox } = await net.attach({ network, endpoint: { name: 'e' }, sandbox: { containerId: 'c' } })

    expect(addressesOn('br-bare')).toEqual(['fd08::1'])
    // Somebody else on the bridge is the gateway.
    expect(ipIn(sandbox.key, 'route', 'show', 'default')).toMatchObject([{ gateway: '10.8.0.1' }])
  })

  it.each([4, 6] as const)('leaves with its own addresses without masquerading, over IPv%i', async (family) => {
    const { place, address } = await serve(await create({ 'com.docker.network.bridge.enable_ip_masquerade': 'false' }))

    expect(await place.ask(outsideAddress[family], 80)).toBe(`outside sees ${address[family]}`)
    await place.close()
  })

  it('has the MTU that it is given, on the bridge and on both ends of each interface, and larger packets do not pass', async () => {
    const network = await create({
      'com.docker.network.driver.mtu': '1300',
      'com.docker.network.bridge.name': 'br-narrow',
    })
    const { sandbox } = await net.attach({ network, endpoint: { name: 'e' }, sandbox: { containerId: 'c' } })
    const passes = (bytes: number): boolean =>
      inNamespaceAt(sandbox.key, () => ping('10.8.0.1', bytes - HEADERS_BYTES)) === 0

    expect(ip('link', 'show', 'br-narrow')).toMatchObject([{ mtu: 1300 }])
    expect(ip('link', 'show', 'master', 'br-narrow')).toMatchObject([{ mtu: 1300 }])
    expect(ipIn(sandbox.key, 'link', 'show', 'eth0')).toMatchObject([{ mtu: 1300 }])
    expect([passes(1300), passes(1301)]).toEqual([true, false])
  })

  it('keeps its neighbours in peace: a container that comes tells which groups it is in, and does not repeat it', async () => {
    const network = await create({})
    using routes = RouteSocket.open()
    routes.createLink({ kind: 'bridge', name: 'br-own', up: true })
    const on = { 'com.docker.network.bridge.name': 'br-own' }
    const other = await net.createNetwork({ name: 'network2', ipv6: true, options: on })
    const attach = async ({ id }: Network): Promise<Sandbox> =>
      (await net.attach({ network: id, endpoint: { name: 'c' }, sandbox: { containerId: id } })).sandbox
    const [peaceful, talkative] = [await attach(network), await attach(other)]

    // On a bridge that somebody else made there may be those who want to hear it: as often as the kernel has it.
    await expect.poll(() => reportsOf(talkative), { timeout: 8000 }).toBeGreaterThan(2)
    expect(reportsOf(peaceful)).toBeLessThanOrEqual(2)
    await Promise.all([peaceful.delete(), talkative.delete()])
    await other.delete()
    await routes.deleteLinks(['br-own'])
  })

  it('gives the ends of its interfaces that are on the host no address', async () => {
    const network = await create({})
    await net.attach({ network, endpoint: { name: 'c' }, sandbox: { containerId: 'c' } })

    const ports = ip('address', 'show') as { linkinfo?: { info_slave_kind?: string }; addr_info: unknown[] }[]
    expect(ports.filter(({ linkinfo }) => linkinfo?.info_slave_kind === 'bridge')).toMatchObject([{ addr_info: [] }])
  })

  it('has the MTU that the kernel gives where it is given none, or 0', async () => {
    await create({ 'com.docker.network.driver.mtu': 0, 'com.docker.network.bridge.name': 'br-usual' })

    expect(ip('link', 'show', 'br-usual')).toMatchObject([{ mtu: 1500 }])
  })

  it('numbers its interfaces in a sandbox after the prefix that it is given, beside those of other networks', async () => {
    const network = await create({ 'com.docker.network.container_iface_prefix': 'lan' })
    const other = await net.createNetwork({ name: 'network2' })
    const { sandbox, endpoint } = await net.attach({
      network,
      endpoint: { name: 'one' },
      sandbox: { containerId: 'c' },
    })
    const second = await network.createEndpoint({ name: 'two' })
    await second.join(sandbox)
    await (await other.createEndpoint({ name: 'three' })).join(sandbox)

    expect(namesIn(sandbox)).toEqual(['eth0', 'lan0', 'lan1', 'lo'])
    await endpoint.leave(sandbox)
    await endpoint.join(sandbox)
    expect(namesIn(sandbox)).toEqual(['eth0', 'lan0', 'lan1', 'lo'])
  })

  it('has an interface of the very name that its endpoint is given, once in a sandbox', async () => {
    const network = await create({})
    const options = { 'com.docker.network.endpoint.ifname': 'uplink' }
    const { sandbox } = await net.attach({ network, endpoint: { name: 'one', options }, sandbox: { containerId: 'c' } })
    const second = await network.createEndpoint({ name: 'two', options })

    expect(namesIn(sandbox)).toEqual(['lo', 'uplink'])
    await expect(second.join(sandbox)).rejects.toMatchObject({ code: 'ERR_INTERFACE_NAME_TAKEN' })
    expect(namesIn(sandbox)).toEqual(['lo', 'uplink'])
  })

  describe('publishes at the address that it binds ports to', () => {
    it('where none is asked for, and takes them back without one', async () => {
      const network = await create({ 'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1' })
      const endpoint = await network.createEndpoint({ name: 'e' })

      const [port] = await endpoint.publish([{ containerPort: 80, hostPort: 7300 }])
      expect(port).toMatchObject({ hostAddress: '127.0.0.1', hostPort: 7300 })
      const [asked] = await endpoint.publish([{ containerPort: 80, hostAddress: '192.0.2.1', hostPort: 7300 }])
      expect(asked).toMatchObject({ hostAddress: '192.0.2.1' })

      await endpoint.unpublish([{ containerPort: 80, hostPort: 7300 }])
      expect(endpoint.ports()).toEqual([asked])
    })
  })
})

/** Of IPv4 and ICMP. */
const HEADERS_BYTES = 28

/** What `ping` comes to with so many bytes that may not be cut in pieces. */
function ping(address: string, bytes: number): number | null {
  return spawnSync('ping', ['-c', '1', '-W', '1', '-M', 'do', '-s', String(bytes), address], { stdio: 'ignore' }).status
}

function namesIn(sandbox: Sandbox): string[] {
  return (ipIn(sandbox.key, 'link', 'show') as { ifname: string }[]).map(({ ifname }) => ifname).sort()
}

function addressesOn(link: string): string[] {
  const [found] = ip('addr', 'show', link) as { addr_info: { local: string; scope: string }[] }[]
  return (found?.addr_info ?? []).filter(({ scope }) => scope === 'global').map(({ local }) => local)
}
