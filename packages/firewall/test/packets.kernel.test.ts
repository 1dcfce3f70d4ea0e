import { spawnSync } from 'node:child_process'
import { NETWORK_LINK_GROUP, type Firewall, type FirewallFact, type NetworkFact, type PortFact } from '@net/driverapi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openFirewall, openIptablesFirewall } from '../src/index.ts'
import { addressOf, hostAddress, Lab } from './lab.ts'

await enterFreshHost()

const numbers = { 'br-a': 1, 'br-b': 2, 'br-i': 3 } as const
const network = (bridge: keyof typeof numbers, facts: Partial<NetworkFact> = {}): NetworkFact => ({
  kind: 'network',
  bridge,
  internal: false,
  interContainer: true,
  masquerade: [4, 6],
  prefixes: { ipv4: `10.0.${numbers[bridge]}.0/24`, ipv6: `fd00:0:0:${numbers[bridge]}::/64` },
  ...facts,
})

const port = (facts: Partial<PortFact> = {}): PortFact => ({
  kind: 'port',
  protocol: 'tcp',
  hostPort: 8080,
  containerAddress: addressOf('web', 4),
  containerPort: 80,
  ...facts,
})

const networks: readonly FirewallFact[] = [network('br-a'), network('br-b'), network('br-i', { internal: true })]
const published: readonly FirewallFact[] = (['tcp', 'udp'] as const).flatMap((protocol) =>
  ([4, 6] as const).map((family) => port({ protocol, containerAddress: addressOf('web', family) })),
)

const hasIptables = spawnSync('iptables', ['--version'], { stdio: 'ignore' }).status === 0
const backEnds = [
  ['nftables', openFirewall],
  ...(hasIptables ? ([['iptables', openIptablesFirewall]] as const) : []),
] as const

// Frames that stay on a bridge pass the packet rules or not, as the host has it.
describeKernel('packets', () => {
  let lab: Lab

  beforeAll(async () => {
    lab = await Lab.open()
  })
  afterAll(async () => {
    await lab.close()
  })
  describe.each(backEnds)('by %s', (_backEnd, open) => {
    let firewall: Firewall
    beforeEach(async () => {
      firewall = await open({ facts: networks })
    })
    afterEach(async () => {
      await firewall.close()
    })

    describe.each([
      ['that pass frames on a bridge by', false],
      ['that pass frames on a bridge through the packet rules', true],
    ])('on hosts %s', (_, filtered) => {
      beforeAll(() => {
        lab.filterBridges(filtered)
      })

      it.each([
        ['tcp', 4, 'outside', addressOf('outside', 4)],
        ['udp', 4, 'outside', addressOf('outside', 4)],
        ['tcp', 6, 'outside', addressOf('outside', 6)],
        ['udp', 6, 'outside', addressOf('outside', 6)],
        // From anywhere on this host, its address in the network asked is what is seen.
        ['tcp', 4, 'host', '10.0.1.1'],
        ['udp', 4, 'host', '10.0.1.1'],
        ['tcp', 6, 'host', 'fd00:0:0:1::1'],
        ['udp', 6, 'host', 'fd00:0:0:1::1'],
        ['tcp', 4, 'other', '10.0.1.1'],
        ['udp', 4, 'other', '10.0.1.1'],
        ['tcp', 6, 'other', 'fd00:0:0:1::1'],
        ['udp', 6, 'other', 'fd00:0:0:1::1'],
        ['tcp', 4, 'peer', '10.0.1.1'],
        ['udp', 4, 'peer', '10.0.1.1'],
        ['tcp', 6, 'peer', 'fd00:0:0:1::1'],
        ['udp', 6, 'peer', 'fd00:0:0:1::1'],
        ['tcp', 4, 'web', '10.0.1.1'],
        ['udp', 4, 'web', '10.0.1.1'],
        ['tcp', 6, 'web', 'fd00:0:0:1::1'],
        ['udp', 6, 'web', 'fd00:0:0:1::1'],
      ] as const)('reach a published %s port over IPv%i from %s', async (protocol, family, from, seen) => {
        await firewall.change({ add: published })

        expect(await lab.ask(from, { protocol, address: hostAddress[family], port: 8080 })).toBe(`web sees ${seen}`)
      })

      it.each([
        ['tcp', 4],
        ['udp', 4],
        ['tcp', 6],
        ['udp', 6],
      ] as const)(
        'reach no container by its %s port over IPv%i from outside of its network',
        async (protocol, family) => {
          await firewall.change({ add: published })
          const question = { protocol, address: addressOf('web', family), port: 80 }

          await Promise.all([lab.askInVain('outside', question), lab.askInVain('other', question)])

          expect(await lab.ask('peer', question)).toBe(`web sees ${addressOf('peer', family)}`)
          expect(await lab.ask('host', question)).toMatch('web sees')
        },
      )

      it.each([4, 6] as const)('pass neither into nor out of an internal network over IPv%i', async (family) => {
        const add = (['tcp', 'udp'] as const).map((protocol) =>
          port({ protocol, hostPort: 8081, containerAddress: addressOf('inner', family) }),
        )
        await firewall.change({ add: [...published, ...add] })
        const into = (protocol: 'tcp' | 'udp') => [
          lab.askInVain('outside', { protocol, address: addressOf('inner', family), port: 80 }),
          lab.askInVain('other', { protocol, address: addressOf('inner', family), port: 80 }),
          lab.askInVain('outside', { protocol, address: hostAddress[family], port: 8081 }),
          lab.askInVain('other', { protocol, address: hostAddress[family], port: 8081 }),
        ]
        const outOf = (protocol: 'tcp' | 'udp') => [
          lab.askInVain('inner', { protocol, address: addressOf('outside', family), port: 80 }),
          lab.askInVain('inner', { protocol, address: addressOf('web', family), port: 80 }),
          lab.askInVain('inner', { protocol, address: hostAddress[family], port: 8080 }),
        ]

        await expect(
          Promise.all([...into('tcp'), ...into('udp'), ...outOf('tcp'), ...outOf('udp')]),
        ).resolves.toBeDefined()
      })

      it.each([4, 6] as const)("leave a network with the host's address over IPv%i", async (family) => {
        const question = { protocol: 'tcp', address: addressOf('outside', family), port: 80 } as const

        expect(await lab.ask('web', question)).toBe(`outside sees ${hostAddress[family]}`)
      })
    })

    describe('on any host', () => {
      beforeAll(() => {
        lab.filterBridges(true)
      })

      it.each(['tcp', 'udp'] as const)('reach a published %s port from 127.0.0.1', async (protocol) => {
        await firewall.change({ add: published })

        expect(await lab.ask('host', { protocol, address: '127.0.0.1', port: 8080 })).toBe('web sees 10.0.1.1')
      })

      it('leave a network that is not masqueraded with the address of their container', async () => {
        await firewall.change({ remove: [network('br-a')], add: [network('br-a', { masquerade: [] })] })
        const question = { protocol: 'tcp', address: addressOf('outside', 4), port: 80 } as const

        expect(await lab.ask('web', question)).toBe(`outside sees ${addressOf('web', 4)}`)
      })

      it('reach a port published at one address of the host at that address only', async () => {
        const facts = (['tcp', 'udp'] as const).map((protocol) => port({ protocol, hostAddress: '127.0.0.1' }))
        await firewall.change({ add: facts })

        expect(await lab.ask('host', { protocol: 'tcp', address: '127.0.0.1', port: 8080 })).toMatch('web sees')
        expect(await lab.ask('host', { protocol: 'udp', address: '127.0.0.1', port: 8080 })).toMatch('web sees')
        expect(await lab.askInVain('outside', { protocol: 'tcp', address: hostAddress[4], port: 8080 })).toBe(
          'ECONNREFUSED',
        )
      })

      it('go where the address asked leads before going where every address does', async () => {
        const specific = port({ hostAddress: hostAddress[4], containerAddress: addressOf('other', 4) })
        await firewall.change({ add: [port(), specific] })

        expect(await lab.ask('outside', { protocol: 'tcp', address: hostAddress[4], port: 8080 })).toMatch('other sees')
        expect(await lab.ask('outside', { protocol: 'tcp', address: '10.0.1.1', port: 8080 })).toMatch('web sees')
      })

      it.each(['outside', 'other', 'web'] as const)(
        'reach nothing at 127.0.0.0/8 when %s forges them',
        async (from) => {
          await firewall.change({ add: published })
          lab.routeLoopbackToHost(from)

          await Promise.all(
            (['tcp', 'udp'] as const).flatMap((protocol) => [
              lab.askInVain(from, { protocol, address: '127.0.0.2', port: 8080 }),
              lab.askInVain(from, { protocol, address: '127.0.0.2', port: 81 }),
            ]),
          )
        },
      )

      it('go to another container once a change leads the port there', async () => {
        await firewall.change({ add: [port()] })
        await firewall.change({ remove: [port()], add: [port({ containerAddress: addressOf('other', 4) })] })

        expect(await lab.ask('outside', { protocol: 'tcp', address: hostAddress[4], port: 8080 })).toMatch('other sees')
      })

      it('reach the host instead, or nobody, once the port is not published any more', async () => {
        await firewall.change({ add: [...published, port({ hostPort: 81 })] })
        expect(await lab.ask('outside', { protocol: 'tcp', address: hostAddress[4], port: 81 })).toMatch('web sees')

        await firewall.change({ remove: [...published, port({ hostPort: 81 })] })

        expect(await lab.ask('outside', { protocol: 'tcp', address: hostAddress[4], port: 81 })).toMatch('host sees')
        for (const family of [4, 6] as const) {
          await lab.askInVain('outside', { protocol: 'tcp', address: hostAddress[family], port: 8080 })
          await lab.askInVain('outside', { protocol: 'udp', address: hostAddress[family], port: 8080 })
        }
      })

      it.each([4, 6] as const)(
        'pass between machines outside unless forwarding is for networks, over IPv%i',
        async (family) => {
          const question = { protocol: 'tcp', address: addressOf('beyond', family), port: 80 } as const
          expect(await lab.ask('outside', question)).toBe(`beyond sees ${addressOf('outside', family)}`)

          await firewall.change({ add: [...published, { kind: 'forwarding', family }] })

          await Promise.all([
            lab.askInVain('outside', question),
            lab.askInVain('outside', { ...question, protocol: 'udp' }),
            lab.askInVain('beyond', { ...question, address: addressOf('outside', family) }),
          ])
          // Networks reach the outside, and their ports are reached from it.
          expect(await lab.ask('web', question)).toMatch('beyond sees')
          expect(await lab.ask('beyond', { ...question, address: hostAddress[family], port: 8080 })).toMatch('web sees')
          expect(await lab.ask('peer', { ...question, address: addressOf('web', family) })).toMatch('web sees')
          // The other family is as it was.
          const other = family === 4 ? 6 : 4
          expect(await lab.ask('outside', { ...question, address: addressOf('beyond', other) })).toMatch('beyond sees')
        },
      )

      it('pass to and from the networks of another controller though forwarding is for networks', async () => {
        const question = { protocol: 'tcp', address: addressOf('outside', 4), port: 80 } as const
        await firewall.change({ remove: [network('br-b')], add: [{ kind: 'forwarding', family: 4 }] })
        await lab.askInVain('other', question)

        lab.joinGroup('br-b', NETWORK_LINK_GROUP)

        expect(await lab.ask('other', question)).toMatch('outside sees')
        expect(await lab.ask('outside', { ...question, address: addressOf('other', 4) })).toMatch('other sees')
        lab.joinGroup('br-b', 0)
      })

      it.each([4, 6] as const)(
        'reach open ports of a network that is routed, and ping it, over IPv%i',
        async (family) => {
          const address = addressOf('web', family)
          const open: FirewallFact = { kind: 'open-port', protocol: 'tcp', address, port: 80 }
          const routed = network('br-a', { masquerade: [], inbound: { ipv4: 'routed', ipv6: 'routed' } })
          const question = { protocol: 'tcp', address, port: 80 } as const
          await firewall.change({ remove: [network('br-a')], add: [routed] })
          await lab.askInVain('outside', question)

          await firewall.change({ add: [open, open] })
          await firewall.change({ remove: [open] })

          expect(await lab.ask('outside', question)).toBe(`web sees ${addressOf('outside', family)}`)
          expect(await lab.ask('other', question)).toMatch('web sees')
          await lab.askInVain('outside', { ...question, protocol: 'udp' })
          expect(lab.ping('outside', address)).toBe(true)
          expect(lab.ping('outside', addressOf('other', family))).toBe(false)
          // It speaks for itself.
          expect(await lab.ask('web', { ...question, address: addressOf('outside', family) })).toBe(
            `outside sees ${address}`,
          )

          await firewall.change({ remove: [open] })
          await lab.askInVain('outside', question)
        },
      )

      it.each([4, 6] as const)(
        'reach all of a network that is open, but not from other networks, over IPv%i',
        async (family) => {
          const open = network('br-a', { inbound: { ipv4: 'all', ipv6: 'all' } })
          await firewall.change({ remove: [network('br-a')], add: [open, ...published] })
          const question = { protocol: 'tcp', address: addressOf('web', family), port: 80 } as const

          expect(await lab.ask('outside', question)).toMatch('web sees')
          expect(await lab.ask('outside', { ...question, protocol: 'udp' })).toMatch('web sees')
          await lab.askInVain('other', question)
          expect(await lab.ask('other', { ...question, address: hostAddress[family], port: 8080 })).toMatch('web sees')
          // Nor from those of another controller.
          await firewall.change({ remove: [network('br-b')] })
          lab.joinGroup('br-b', NETWORK_LINK_GROUP)
          await lab.askInVain('other', question)
          lab.joinGroup('br-b', 0)
        },
      )

      it.each([4, 6] as const)('reach open ports from interfaces that are trusted only, over IPv%i', async (family) => {
        const address = addressOf('web', family)
        const open: FirewallFact = { kind: 'open-port', protocol: 'tcp', address, port: 80 }
        await firewall.change({ remove: [network('br-a')], add: [network('br-a', { trusted: ['to-outside'] }), open] })
        const question = { protocol: 'tcp', address, port: 80 } as const

        expect(await lab.ask('outside', question)).toMatch('web sees')
        await lab.askInVain('outside', { ...question, protocol: 'udp' })
        await lab.askInVain('beyond', question)
        await lab.askInVain('other', question)
      })

      it.each([4, 6] as const)(
        'leave a network with the one address that it has been given, over IPv%i',
        async (family) => {
          const sources = { ipv4: '10.0.8.1', ipv6: 'fd00:0:0:8::1' }
          await firewall.change({ remove: [network('br-a')], add: [network('br-a', { sources })] })
          const question = { protocol: 'tcp', address: addressOf('outside', family), port: 80 } as const

          expect(await lab.ask('web', question)).toBe(`outside sees ${sources[`ipv${family}`]}`)
          expect(await lab.ask('other', question)).toBe(`outside sees ${hostAddress[family]}`)
        },
      )

      it.each([4, 6] as const)(
        'between containers that may not speak are published ports only, over IPv%i',
        async (family) => {
          await firewall.change({
            remove: [network('br-a')],
            add: [network('br-a', { interContainer: false }), ...published],
          })

          await lab.askInVain('peer', { protocol: 'tcp', address: addressOf('web', family), port: 80 })
          expect(await lab.ask('peer', { protocol: 'tcp', address: hostAddress[family], port: 8080 })).toMatch(
            'web sees',
          )
        },
      )
    })
  })
})
