import { describeKernel, enterFreshHost, ip } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openController, type Controller, type Network } from '../src/index.ts'
import { addressesOf, filterBridges, hostAddress, Outside, placeIn, placeOnHost } from './reach-lab.ts'

await enterFreshHost()

let net: Controller
let network: Network
beforeEach(async () => {
  net = await openController()
  network = await net.createNetwork({
    name: 'quiet',
    ipam: { pools: [{ pool: '10.8.0.0/24' }, { pool: 'fd08::/64' }] },
    options: { 'com.docker.network.bridge.name': 'br-quiet', 'com.docker.network.bridge.enable_icc': 'false' },
  })
})
afterEach(() => net.close())

describeKernel('a network whose containers may not speak with each other', () => {
  describe.each([
    ['pass frames on bridges by', false],
    ['pass frames on bridges through the packet rules', true],
  ])('on hosts that %s', (_, filtered) => {
    it.each([4, 6] as const)('lets them use what is published, and no more, over IPv%i', async (family) => {
      filterBridges(filtered)
      const outside = await Outside.open()
      const ports = [{ containerPort: 80, hostPort: 8080 }]
      const web = await net.attach({ network, endpoint: { name: 'w', ports }, sandbox: { containerId: 'web' } })
      const peer = await net.attach({ network, endpoint: { name: 'p' }, sandbox: { containerId: 'peer' } })
      const host = await placeOnHost()
      const places = [await placeIn(web.sandbox, 'web'), await placeIn(peer.sandbox, 'peer')] as const
      const address = addressesOf(web.endpoint)[family]

      // The neighbour, at the address of the container and at the host's; the host; somebody outside.
      expect(await places[1].ask(address, 80)).not.toContain('sees')
      expect(await places[0].ask(addressesOf(peer.endpoint)[family], 81)).not.toContain('sees')
      expect(await places[1].ask(hostAddress[family], 8080)).toContain('web sees')
      expect(await host.ask(address, 80)).toContain('web sees')
      expect(await host.ask(hostAddress[family], 8080)).toContain('web sees')
      expect(await outside.place.ask(hostAddress[family], 8080)).toContain('web sees')
      // And they reach the outside.
      expect(await places[0].ask(family === 4 ? '192.0.2.2' : '2001:db8::2', 80)).toBe(
        `outside sees ${hostAddress[family]}`,
      )

      await Promise.all([outside.close(), host.close(), ...places.map((place) => place.close())])
    })
  })

  it('has isolated ports where frames pass the rules by, and a filtered bridge where they do not', async () => {
    filterBridges(false)
    await net.attach({ network, endpoint: { name: 'one' }, sandbox: { containerId: 'one' } })
    filterBridges(true)
    await net.attach({ network, endpoint: { name: 'two' }, sandbox: { containerId: 'two' } })
    // What is set for the host later changes nothing.
    filterBridges(false)

    expect(ports()).toEqual([true, false])
    expect(ip('link', 'show', 'br-quiet')).toMatchObject([
      { linkinfo: { info_data: { nf_call_iptables: 1, nf_call_ip6tables: 1 } } },
    ])
  })
})

/** Whether each port of the bridge is isolated. */
function ports(): boolean[] {
  const links = ip('link', 'show', 'master', 'br-quiet') as { linkinfo: { info_slave_data: { isolated: boolean } } }[]
  return links.map(({ linkinfo }) => linkinfo.info_slave_data.isolated)
}
