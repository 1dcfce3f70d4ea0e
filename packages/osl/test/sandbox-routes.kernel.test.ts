import { execFileSync } from 'node:child_process'
import { describeKernel, enterFreshHost, ip, ipIn } from '@net/netlink-ffi/testing'
import { beforeEach, expect, it } from 'vitest'
import type { Executor } from '../src/index.ts'
import { openLab, planOf } from './lab.ts'

await enterFreshHost()

let executor: Executor
let key: string
beforeEach(async () => {
  const lab = await openLab()
  executor = lab.executor
  key = lab.key
  return () => lab.close([planOf(2), planOf(3)])
})

interface FoundRoute {
  readonly dst: string
  readonly gateway?: string
  readonly dev: string
}

/** The default routes of the sandbox, that first which counts. */
const defaults = (family = '-4'): string[] =>
  (ipIn(key, family, 'route', 'show', 'default') as FoundRoute[]).map(({ gateway = '', dev }) => `${gateway} ${dev}`)
const namesOf = (links: unknown): string[] => (links as { ifname: string }[]).map(({ ifname }) => ifname)
/** What is to be in the sandbox, and on the host, as before. */
const state = (): unknown => [
  namesOf(ipIn(key, 'link', 'show')),
  ipIn(key, '-4', 'route', 'show'),
  ipIn(key, '-6', 'route', 'show', 'default'),
  namesOf(ip('link', 'show')),
]
const inside = (command: string): void => {
  execFileSync('nsenter', [`--net=${key}`, 'ip', ...command.split(' ')])
}
/** Links, addresses and default routes as a namespace may have that others made. */
function makeOwn(): void {
  inside('link add own0 type bridge')
  inside('addr add 10.20.0.7/24 dev own0')
  inside('addr add fd00::7/64 dev own0 nodad')
  inside('link set own0 up')
  inside('route add default via 10.20.0.1 dev own0 proto dhcp src 10.20.0.7 mtu 1300')
  inside('-6 route add default via fd00::1 dev own0')
}

describeKernel('the default routes of an endpoint', () => {
  it("lead by its own interface, before those of the sandbox' own, which are as they were after it left", async () => {
    makeOwn()
    const before = state()
    const joined = planOf(2, {
      addresses: ['10.20.0.2/24', 'fd20::2/64'],
      gateways: { ipv4: '10.20.0.1', ipv6: 'fd20::1' },
    })

    await executor.join(key, joined)

    expect(defaults()[0]).toBe('10.20.0.1 eth2')
    expect(defaults('-6')[0]).toBe('fd20::1 eth2')
    await executor.leave(key, joined)
    expect(state()).toEqual(before)
  })

  it('may lead to a link-local next hop', async () => {
    await executor.join(key, planOf(2, { gateways: { ipv6: 'fe80::1' } }))

    expect(defaults('-6')).toEqual(['fe80::1 eth2'])
  })

  it('pass on to another that has the same next hop, and back', async () => {
    const gateways = { ipv4: '10.20.0.1', ipv6: 'fe80::1' }
    const [two, three] = [planOf(2, { gateways }), planOf(3, { gateways })]
    await executor.join(key, two)
    await executor.join(key, three)
    expect(defaults()).toEqual(['10.20.0.1 eth3'])
    expect(defaults('-6')).toEqual(['fe80::1 eth3'])

    await executor.leave(key, three)
    await executor.addGateways(key, two.sandbox)

    expect(defaults()).toEqual(['10.20.0.1 eth2'])
    expect(defaults('-6')).toEqual(['fe80::1 eth2'])
  })

  it('are missed where the sandbox has only its own, and come back before these', async () => {
    makeOwn()
    const joined = planOf(2, { gateways: { ipv4: '10.20.0.1' } })
    await executor.join(key, joined)

    inside('link set eth2 down')
    inside('link set eth2 up')

    await expect.poll(() => defaults()).toEqual(['10.20.0.1 eth2', '10.20.0.1 own0'])
  })
})

describeKernel('an endpoint is refused, and all is as it was,', () => {
  it.each([
    ['an address', '10.20.0.7/24'],
    ['an IPv6 address', 'fd00::7/64'],
  ])('where the sandbox has %s of its', async (_, address) => {
    makeOwn()
    await executor.join(key, planOf(3))
    const before = state()

    const joining = executor.join(key, planOf(2, { addresses: [address], gateways: { ipv4: '10.20.0.1' } }))

    await expect(joining).rejects.toMatchObject({ code: 'ERR_ADDRESS_CONFLICT', kind: 'forbidden' })
    await expect(joining).rejects.toThrow(/own0 has it/)
    expect(state()).toEqual(before)
  })

  it.each([
    ['a network that another is on', [], '10.20.0.0/24'],
    ['where another leads', [{ destination: '192.0.2.0/24', gateway: '10.20.0.9' }], '192.0.2.0/24'],
  ])('where a route of it leads to %s', async (_, routes, destination) => {
    await executor.join(key, planOf(3, { routes }))
    const before = state()

    const joining = executor.join(
      key,
      planOf(2, { addresses: ['10.30.0.2/24'], routes: [{ destination, gateway: '10.30.0.9' }] }),
    )

    await expect(joining).rejects.toMatchObject({ code: 'ERR_ROUTE_EXISTS', kind: 'forbidden' })
    expect(state()).toEqual(before)
  })
})

describeKernel('endpoints of one network', () => {
  it('can be in one sandbox, also with one link-local address', async () => {
    await executor.join(key, planOf(2, { addresses: ['10.20.0.2/24', 'fe80::9/64'] }))
    await executor.join(key, planOf(3, { addresses: ['10.20.0.3/24', 'fe80::9/64'] }))

    expect(JSON.stringify(ipIn(key, 'addr', 'show', 'eth3'))).toContain('fe80::9')
  })
})
