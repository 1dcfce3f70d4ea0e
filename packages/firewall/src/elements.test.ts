import type { PortFact } from '@net/driverapi'
import { describe, expect, it } from 'vitest'
import { transcript } from '../test/transcript.ts'
import { checkFact } from './fact.ts'

const network = { kind: 'network', bridge: 'br0', internal: false, interContainer: true, masquerade: [4, 6] } as const
const port = {
  kind: 'port',
  protocol: 'tcp',
  hostPort: 8080,
  containerAddress: '10.0.0.2',
  containerPort: 80,
} as const

describe('a network', () => {
  it('is known by its bridge, masqueraded in the families it says', () => {
    expect(transcript(network)).toBe(
      [
        'bridges { br0 }',
        'intra { br0 . br0 : accept }',
        'own { br0 . br0 : goto hairpin }',
        'to_network { ipv4 . br0 : goto inbound }',
        'to_network { ipv6 . br0 : goto inbound }',
        'masquerade4 { br0 }',
        'masquerade6 { br0 }',
      ].join('\n'),
    )
  })

  it('that is internal lets nothing out and nothing in', () => {
    expect(transcript({ ...network, internal: true, masquerade: [] })).toBe(
      [
        'bridges { br0 }',
        'intra { br0 . br0 : accept }',
        'own { br0 . br0 : goto hairpin }',
        'to_network { ipv4 . br0 : drop }',
        'to_network { ipv6 . br0 : drop }',
        'from_network { br0 : drop }',
      ].join('\n'),
    )
  })

  it('whose containers may not speak with each other lets them use what is published', () => {
    expect(transcript({ ...network, interContainer: false })).toContain('intra { br0 . br0 : goto apart }')
    expect(transcript({ ...network, interContainer: false, internal: true })).toContain('intra { br0 . br0 : drop }')
  })
})

describe('a network that lets more in than what is published', () => {
  it('says so for each family, and whom it trusts', () => {
    const inbound = { ipv4: 'all', ipv6: 'routed' } as const

    expect(transcript({ ...network, masquerade: [], inbound, trusted: ['lan0', 'lan1'] })).toContain(
      [
        'to_network { ipv4 . br0 : goto unprotected }',
        'to_network { ipv6 . br0 : goto routed }',
        'trusted { lan0 . br0 }',
        'trusted { lan1 . br0 }',
      ].join('\n'),
    )
  })

  it('lets nothing in where it is internal', () => {
    const inbound = { ipv4: 'all', ipv6: 'routed' } as const

    expect(transcript({ ...network, internal: true, inbound })).toContain(
      'to_network { ipv4 . br0 : drop }\nto_network { ipv6 . br0 : drop }',
    )
  })
})

describe('a network whose packets leave with one address of the host', () => {
  it('has that address for each family that is masqueraded', () => {
    const sources = { ipv4: '192.0.2.1', ipv6: '2001:DB8::1' }

    expect(transcript({ ...network, sources })).toContain('source4 { br0 : 192.0.2.1 }\nsource6 { br0 : 2001:db8::1 }')
    expect(transcript({ ...network, masquerade: [6], sources: { ipv4: '192.0.2.1' } })).toMatch(
      /goto inbound }\nmasquerade6 { br0 }$/,
    )
  })

  it.each([{ ipv4: '::1' }, { ipv4: '0.0.0.0' }, { ipv6: '192.0.2.1' }])('is refused with %j', (sources) => {
    expect(() => checkFact({ ...network, sources })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_FACT' }) as Error,
    )
  })
})

describe('an open port', () => {
  it.each([
    ['10.0.0.2', 'open4 { 10.0.0.2 . 6 . 80 }'],
    ['FD00::2', 'open6 { fd00::2 . 6 . 80 }'],
  ])('of %s is one element', (address, expected) => {
    expect(transcript({ kind: 'open-port', protocol: 'tcp', address, port: 80 })).toBe(expected)
  })

  it('is one element with others in a row', () => {
    expect(transcript({ kind: 'open-port', protocol: 'udp', address: 'FD00::2', port: 9000, count: 100 })).toBe(
      'open6_ranges { fd00::2 . 17 . 9000-9099 }',
    )
  })
})

describe('a published port', () => {
  it.each<[Partial<typeof port> & { hostAddress?: string }, string]>([
    [{}, 'ports4 { 6 . 8080 : 10.0.0.2 . 80 }'],
    [{ hostAddress: '0.0.0.0' }, 'ports4 { 6 . 8080 : 10.0.0.2 . 80 }'],
    [{ hostAddress: '192.0.2.1' }, 'ports4_by_address { 192.0.2.1 . 6 . 8080 : 10.0.0.2 . 80 }'],
    [{ protocol: 'udp' as 'tcp' }, 'ports4 { 17 . 8080 : 10.0.0.2 . 80 }'],
    [{ protocol: 'sctp' as 'tcp' }, 'ports4 { 132 . 8080 : 10.0.0.2 . 80 }'],
    [{ containerAddress: 'FD00::2' as '10.0.0.2' }, 'ports6 { 6 . 8080 : fd00::2 . 80 }'],
    [
      { containerAddress: 'fd00::2' as '10.0.0.2', hostAddress: '2001:db8::1' },
      'ports6_by_address { 2001:db8::1 . 6 . 8080 : fd00::2 . 80 }',
    ],
  ])('with %j is one element', (changes, expected) => {
    expect(transcript({ ...port, ...changes })).toBe(expected)
  })

  it.each<[Partial<PortFact>, string[]]>([
    [{ hostPort: 8000, containerPort: 8000 }, ['ranges4 { 0.0.0.0-255.255.255.255 . 6 . 8000-8099 : 10.0.0.2 }']],
    [
      { hostPort: 8000, containerPort: 8000, hostAddress: '192.0.2.1', protocol: 'sctp' },
      ['ranges4 { 192.0.2.1 . 132 . 8000-8099 : 10.0.0.2 }'],
    ],
    [
      { hostPort: 8000, containerPort: 9000, hostAddress: '192.0.2.1' },
      [
        'shifted4 { 192.0.2.1 . 6 . 8000-8099 : 10.0.0.2 }',
        'shifted4_first { 192.0.2.1 . 6 . 8000-8099 : 1000 }',
        'shifted4_last { 192.0.2.1 . 6 . 8000-8099 : 9099 }',
      ],
    ],
    [
      { hostPort: 8000, containerPort: 80, containerAddress: 'fd00::2', hostAddress: '2001:db8::1', protocol: 'udp' },
      [
        'shifted6 { 2001:db8::1 . 17 . 8000-8099 : fd00::2 }',
        'shifted6_first { 2001:db8::1 . 17 . 8000-8099 : 80 }',
        'shifted6_last { 2001:db8::1 . 17 . 8000-8099 : 8079 }',
      ],
    ],
  ])('that is a hundred of them in a row, with %j, is as few elements', (changes, expected) => {
    expect(transcript({ ...port, ...changes, count: 100 })).toBe(expected.join('\n'))
  })

  it.each([
    [{ hostPort: 65_535, count: 2 }, 'ERR_INVALID_PORT'],
    [{ containerPort: 65_500, count: 37 }, 'ERR_INVALID_PORT'],
    [{ count: 0 }, 'ERR_INVALID_PORT'],
    [{ count: 1.5 }, 'ERR_INVALID_PORT'],
    [{ hostPort: 0 }, 'ERR_INVALID_PORT'],
    [{ containerPort: 65_536 }, 'ERR_INVALID_PORT'],
    [{ protocol: 'icmp' }, 'ERR_INVALID_FACT'],
    [{ containerAddress: '10.0.0' }, 'ERR_INVALID_ADDRESS'],
    [{ hostAddress: '::1' }, 'ERR_INVALID_FACT'],
  ])('is refused with %j', (changes, code) => {
    expect(() => checkFact({ ...port, ...(changes as object) })).toThrow(expect.objectContaining({ code }) as Error)
  })
})

describe('a link', () => {
  it.each([
    ['10.0.0.2', '10.0.0.3', 'links4 { 10.0.0.2 . 10.0.0.3 . 6 . 5432 }'],
    ['fd00:0::2', 'fd00::3', 'links6 { fd00::2 . fd00::3 . 6 . 5432 }'],
  ])('is who asks whom: %s asks %s', (from, to, expected) => {
    expect(transcript({ kind: 'link', protocol: 'tcp', from, to, port: 5432 })).toBe(expected)
  })

  it('is of one family', () => {
    const fact = { kind: 'link', protocol: 'tcp', from: '10.0.0.2', to: 'fd00::3', port: 5432 } as const
    expect(() => transcript(fact)).toThrow('expected an IPv4 address as 10.0.0.2')
  })
})
