import type { PortFact } from '@net/driverapi'
import { describe, expect, it } from 'vitest'
import { forwardsOf } from './forwards-of.ts'

const web: PortFact = {
  kind: 'port',
  protocol: 'tcp',
  hostPort: 8080,
  containerAddress: '172.17.0.2',
  containerPort: 80,
}
const web6: PortFact = { ...web, containerAddress: 'fd00::2' }
const forward = { protocol: 'tcp', address: '::1', port: 8080, containerAddress: '172.17.0.2', containerPort: 80 }

describe('a forward from ::1', () => {
  it.each([undefined, '::', '::1'])('is wanted of a port that is published on %s', (hostAddress) => {
    expect(forwardsOf([{ ...web, hostAddress }])).toEqual([forward])
  })

  it.each(['127.0.0.1', '0.0.0.0', '2001:db8::1'])('is not of one on %s', (hostAddress) => {
    expect(forwardsOf([{ ...web, hostAddress }])).toEqual([])
  })

  it.each([
    ['in the order of the families', [web, web6]],
    ['in the other', [web6, web]],
  ])('leads to the IPv6 address of a container that has both, told of %s', (_order, facts) => {
    expect(forwardsOf(facts)).toEqual([{ ...forward, containerAddress: 'fd00::2' }])
  })

  it('is one for a range of ports, and one for each protocol', () => {
    const range = { ...web, count: 100 }

    expect(forwardsOf([range, { ...range, protocol: 'udp' }, { ...range, protocol: 'sctp' }])).toEqual([
      { ...forward, count: 100 },
      { ...forward, protocol: 'udp', count: 100 },
      { ...forward, protocol: 'sctp', count: 100 },
    ])
  })

  it('is not wanted of what is only let in at the container itself', () => {
    const open = { kind: 'open-port', protocol: 'tcp', address: '172.17.0.2', port: 80 } as const

    expect(forwardsOf([open])).toEqual([])
  })
})
