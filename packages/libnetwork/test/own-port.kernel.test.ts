import { execFileSync, spawnSync } from 'node:child_process'
import { describeKernel, enterFreshHost, ip } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller } from '../src/index.ts'
import { filterBridges, hostAddress, Outside, placeIn } from './reach-lab.ts'

await enterFreshHost()

const hasIptables = spawnSync('iptables', ['--version'], { stdio: 'ignore' }).status === 0
const backEnds = hasIptables ? (['nftables', 'iptables'] as const) : (['nftables'] as const)
const gateway = { 4: '10.8.0.1', 6: 'fd08::1' } as const

/** Takes every port of bridges out of hairpin mode, or puts it there. */
function setHairpin(isOn: boolean): void {
  const ports = ip('link', 'show', 'type', 'veth') as { ifname: string; master?: string }[]
  for (const { ifname, master } of ports) {
    if (master === undefined) continue
    execFileSync('ip', ['link', 'set', ifname, 'type', 'bridge_slave', 'hairpin', isOn ? 'on' : 'off'])
  }
}

/**
 * Who gets to the port that `web` publishes, at two addresses of the host's: itself, and its neighbour. The families of
 * those that do, once with hairpin mode and once without.
 */
async function reached(net: Controller, icc: boolean): Promise<Record<string, string>> {
  const network = await net.createNetwork({
    name: 'network',
    ipam: { pools: [{ pool: '10.8.0.0/24' }, { pool: 'fd08::/64' }] },
    options: { 'com.docker.network.bridge.enable_icc': icc },
  })
  const ports = [{ containerPort: 80, hostPort: 8080 }]
  const web = await net.attach({ network, endpoint: { name: 'web', ports }, sandbox: { containerId: 'web' } })
  const peer = await net.attach({ network, endpoint: { name: 'peer' }, sandbox: { containerId: 'peer' } })
  const places = { web: await placeIn(web.sandbox, 'web'), peer: await placeIn(peer.sandbox, 'peer') }

  const result: Record<string, string> = {}
  for (const isOn of [true, false]) {
    setHairpin(isOn)
    for (const [name, place] of Object.entries(places)) {
      for (const [where, address] of Object.entries({ gateway, host: hostAddress })) {
        const [four, six] = await Promise.all([place.reaches(address[4], 8080), place.reaches(address[6], 8080)])
        result[`${name} at the ${where}, hairpin ${isOn ? 'on' : 'off'}`] = `${four ? '4' : '-'}${six ? '6' : '-'}`
      }
    }
  }

  await Promise.all([places.web.close(), places.peer.close()])
  return result
}

let outside: Outside
beforeEach(async () => {
  outside = await Outside.open()
})
afterEach(async () => {
  await outside.close()
})

describeKernel('a published port, asked for at the host by its container and by a neighbour', () => {
  it.each(
    backEnds.flatMap((firewall) =>
      [false, true].flatMap((filtered) => [true, false].map((icc) => [firewall, filtered, icc] as const)),
    ),
  )(
    'answers without a proxy (%s, frames on bridges filtered: %s, inter-container: %s)',
    { timeout: 60_000 },
    async (firewall, filtered, icc) => {
      filterBridges(filtered)
      // Whoever takes ports out of hairpin mode is to have his way here.
      await using net = await openController({ firewall, drift: 'off' })

      // Where bridges translate themselves (br_netfilter), a frame has to leave by the port it came by.
      const alone = filtered ? '--' : '46'
      expect(await reached(net, icc)).toEqual({
        'web at the gateway, hairpin on': '46',
        'web at the host, hairpin on': '46',
        'peer at the gateway, hairpin on': '46',
        'peer at the host, hairpin on': '46',
        'web at the gateway, hairpin off': alone,
        'web at the host, hairpin off': alone,
        'peer at the gateway, hairpin off': '46',
        'peer at the host, hairpin off': '46',
      })
    },
  )
})
