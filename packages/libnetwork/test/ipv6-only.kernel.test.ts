import { describeKernel, enterFreshHost, ipIn } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Attachment, type Controller } from '../src/index.ts'
import { fetchFrom, fetchFromHost, outputOf, plain, serve, StateFolder } from './lab.ts'

await enterFreshHost()

let folder: StateFolder
let net: Controller

beforeEach(async () => {
  folder = new StateFolder('ipv6-only')
  net = await openController(folder.places)
})
afterEach(async () => {
  await net.close()
  await folder.expectNothingLeft()
})

function attach(name: string): Promise<Attachment> {
  return net.attach({
    network: 'six',
    endpoint: { name, ports: [{ containerPort: 80 }] },
    sandbox: { containerId: name, extraHosts: { printer: ['192.0.2.9', '2001:db8::9'] } },
  })
}

describeKernel('a network without IPv4', () => {
  it('has IPv6: containers reach and find each other, and the host reaches what they publish', async () => {
    const network = await net.createNetwork({ name: 'six', ipv4: false })
    const one = await attach('one')
    const other = await attach('other')
    await using _server = await serve(one.sandbox, 'hello')

    expect([network.ipv4, one.endpoint.address, one.endpoint.gateway]).toEqual([undefined, undefined, undefined])
    expect(network.ipv6?.pool).toMatch(/^fd.*\/64$/)
    expect(ipIn(one.sandbox.key, '-4', 'addr', 'show', 'eth0')).toEqual([])
    expect(await fetchFrom(other.sandbox, `http://[${plain(one.endpoint.address6)}]/`)).toBe('hello')
    expect(await outputOf(other.sandbox, 'getent', ['ahostsv6', 'one'])).toContain(plain(one.endpoint.address6))
    const [published] = one.endpoint.ports()
    expect(await fetchFromHost(`http://[${plain(network.ipv6?.gateway)}]:${published?.hostPort}/`)).toBe('hello')
    expect((await net.describe()).differences).toEqual([])
  })

  it('is there again when the controller is', async () => {
    await net.createNetwork({ name: 'six', ipam: { pools: [{ pool: 'fd66::/64' }] }, ipv4: false })
    const { endpoint } = await attach('one')
    await net.close()

    net = await openController(folder.places)
    expect(net.getNetwork('six').getEndpoint('one').address6).toBe(endpoint.address6)
    expect((await net.describe()).differences).toEqual([])
  })

  it('refuses what takes IPv4, and one without any family is none', async () => {
    const invalid = { code: 'ERR_INVALID_REQUEST' }
    await expect(net.createNetwork({ name: 'none', ipv4: false, ipv6: false })).rejects.toMatchObject(invalid)
    await expect(
      net.createNetwork({ name: 'six', ipv4: false, ipam: { pools: [{ pool: '10.66.0.0/24' }] } }),
    ).rejects.toMatchObject(invalid)
    const network = await net.createNetwork({ name: 'six', ipv4: false })
    await expect(network.createEndpoint({ name: 'one', address: '10.66.0.2' })).rejects.toMatchObject({
      kind: 'bad-request',
    })
  })
})

describeKernel('hosts of a sandbox', () => {
  it('have an address of each family, where that is asked for', async () => {
    await net.createNetwork({ name: 'six', ipv6: true })
    const { sandbox } = await attach('one')

    expect(await outputOf(sandbox, 'getent', ['ahostsv4', 'printer'])).toContain('192.0.2.9')
    expect(await outputOf(sandbox, 'getent', ['ahostsv6', 'printer'])).toContain('2001:db8::9')
  })
})
