import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import type { Firewall, FirewallFact, PortFact } from '@net/driverapi'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { openFirewall } from '../src/index.ts'
import { addressOf, hostAddress, Lab } from './lab.ts'

await enterFreshHost()

const networks = ['br-a', 'br-b'].map((bridge): FirewallFact => ({
  kind: 'network',
  bridge,
  internal: false,
  interContainer: true,
  masquerade: [4, 6],
}))

/** The same range over both protocols and both families. */
function range(hostPort: number, containerPort: number, count: number, facts: Partial<PortFact> = {}): PortFact[] {
  return (['tcp', 'udp'] as const).flatMap((protocol) =>
    ([4, 6] as const).map((family): PortFact => {
      const containerAddress = addressOf('web', family)
      return { kind: 'port', protocol, hostPort, containerAddress, containerPort, count, ...facts }
    }),
  )
}

/** The ways a port is asked for: each protocol over each family. */
const ways = (['tcp', 'udp'] as const).flatMap((protocol) => ([4, 6] as const).map((family) => ({ protocol, family })))

describeKernel('packets to a range of ports', () => {
  let lab: Lab
  let firewall: Firewall

  beforeAll(async () => {
    lab = await Lab.open()
    lab.filterBridges(false)
    const equal = [8999, 9000, 9050, 9099, 9100, 9101]
    const shifted = [1, 2, 50, 149, 150, 349, 350, 1079, 1080, 1180, 39_999, 40_099, 59_999, 60_535, 65_535]
    await lab.listen('web', [...equal, ...shifted])
    await lab.listen('other', [9000])
  })
  afterAll(async () => {
    await lab.close()
  })
  beforeEach(async () => {
    firewall = await openFirewall({ facts: networks })
  })
  afterEach(async () => {
    await firewall.close()
  })

  it.each(['outside', 'host', 'other', 'peer', 'web'] as const)('go to the same ports, from %s', async (from) => {
    await firewall.change({ add: range(9000, 9000, 101) })

    for (const { protocol, family } of ways) {
      const address = hostAddress[family]
      for (const port of [9000, 9050, 9100]) {
        expect(await lab.ask(from, { protocol, address, port })).toMatch(`web:${port} sees`)
      }
      await Promise.all(
        [8999, 9101].map(async (port) => {
          expect(await lab.askInVain(from, { protocol, address, port })).not.toBe('')
        }),
      )
    }
  })

  it.each([
    [
      'up',
      8000,
      8000 + 1000,
      101,
      [
        [8000, 9000],
        [8050, 9050],
        [8100, 9100],
      ],
    ],
    [
      'down',
      7000,
      1080,
      101,
      [
        [7000, 1080],
        [7100, 1180],
      ],
    ],
    [
      'down by one',
      40_000,
      39_999,
      101,
      [
        [40_000, 39_999],
        [40_100, 40_099],
      ],
    ],
    [
      'down, in pieces',
      100,
      50,
      301,
      [
        [100, 50],
        [199, 149],
        [200, 150],
        [399, 349],
        [400, 350],
      ],
    ],
    ['up to the last port', 60_000, 65_535 - 10, 11, [[60_010, 65_535]]],
    [
      'up, from the first port to the last',
      1,
      2,
      65_534,
      [
        [1, 2],
        [49, 50],
        [65_534, 65_535],
      ],
    ],
    [
      'down, from the last port to the first',
      2,
      1,
      65_534,
      [
        [2, 1],
        [3, 2],
        [51, 50],
        [60_536, 60_535],
      ],
    ],
  ] as const)('go to others, %s', async (_, hostPort, containerPort, count, ports) => {
    await firewall.change({ add: range(hostPort, containerPort, count) })

    for (const { protocol, family } of ways) {
      for (const [asked, reached] of ports) {
        const question = { protocol, address: hostAddress[family], port: asked }
        expect(await lab.ask('outside', question)).toBe(`web:${reached} sees ${addressOf('outside', family)}`)
      }
    }
  })

  it.each([0, 1000])('go there from the one address of the host they are published at, %d ports off', async (off) => {
    await firewall.change({ add: range(9000 - off, 9000, 101, { hostAddress: '10.0.1.1' }).filter(isIpv4) })

    for (const protocol of ['tcp', 'udp'] as const) {
      const question = { protocol, port: 9050 - off }
      expect(await lab.ask('outside', { ...question, address: '10.0.1.1' })).toMatch('web:9050 sees')
      await lab.askInVain('outside', { ...question, address: hostAddress[4] })
      await lab.askInVain('host', { ...question, address: '127.0.0.1' })
    }
  })

  it('go one further where a source has come to the new port by another address of the host, but not where ports stay', async () => {
    await firewall.change({ add: [...range(8000, 9000, 101), ...range(9000, 9000, 101)] })
    const ask = { protocol: 'udp', from: 40_404 } as const

    expect(await lab.ask('outside', { ...ask, address: hostAddress[4], port: 8099 })).toMatch('web:9099 sees')
    expect(await lab.ask('outside', { ...ask, address: '10.0.1.1', port: 8099 })).toMatch('web:9100 sees')

    expect(await lab.ask('outside', { ...ask, address: hostAddress[4], port: 9050 })).toMatch('web:9050 sees')
    expect(await lab.ask('outside', { ...ask, address: '10.0.1.1', port: 9050 })).toMatch('web:9050 sees')
  })

  it('for 127.0.0.1 are the own ones of the host, whoever forges it', async () => {
    const question = { address: '127.0.0.1', port: 9050 }
    await firewall.change({ add: range(9000, 9000, 101, { hostAddress: '127.0.0.1' }).filter(isIpv4) })
    lab.routeLoopbackToHost('outside')

    for (const protocol of ['tcp', 'udp'] as const) {
      expect(await lab.ask('host', { protocol, ...question })).toMatch('web:9050 sees')
      await lab.askInVain('outside', { protocol, address: '127.0.0.2', port: 9050 })
    }
  })

  it('go where a change leads the range, while its neighbours stay', async () => {
    await firewall.change({ add: [...range(9000, 9000, 51), ...range(8100, 9100, 2)] })
    const ask = (port: number): Promise<string> =>
      lab.ask('outside', { protocol: 'tcp', address: hostAddress[4], port })
    expect(await ask(9000)).toMatch('web:9000 sees')

    const elsewhere = range(9000, 9000, 20, { containerAddress: addressOf('other', 4) }).filter(
      ({ protocol }) => protocol === 'tcp',
    )
    await firewall.change({ remove: range(9000, 9000, 51), add: elsewhere.slice(0, 1) })

    expect(await ask(9000)).toMatch('other:9000 sees')
    expect(await ask(8101)).toMatch('web:9101 sees')
    await lab.askInVain('outside', { protocol: 'tcp', address: hostAddress[4], port: 9050 })
  })

  it.each([4, 6] as const)('reach ranges that are open, however often, over IPv%i', async (family) => {
    const address = addressOf('web', family)
    const routed = { ...networks[0]!, inbound: { ipv4: 'routed', ipv6: 'routed' } } as FirewallFact
    const open = (port: number, count: number): FirewallFact => ({
      kind: 'open-port',
      protocol: 'tcp',
      address,
      port,
      count,
    })
    await firewall.change({ remove: networks.slice(0, 1), add: [routed, open(9000, 60), open(9040, 61)] })
    const ask = (port: number): Promise<string> => lab.ask('outside', { protocol: 'tcp', address, port })
    for (const port of [9000, 9050, 9100]) expect(await ask(port)).toMatch(`web:${port} sees`)
    await lab.askInVain('outside', { protocol: 'tcp', address, port: 9101 })
    await lab.askInVain('outside', { protocol: 'udp', address, port: 9050 })

    await firewall.change({ remove: [open(9000, 60)] })

    for (const port of [9050, 9100]) expect(await ask(port)).toMatch(`web:${port} sees`)
    await lab.askInVain('outside', { protocol: 'tcp', address, port: 9000 })
  })
})

function isIpv4({ containerAddress }: PortFact): boolean {
  return !containerAddress.includes(':')
}
