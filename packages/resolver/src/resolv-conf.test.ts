import { describe, expect, it } from 'vitest'
import {
  addOption,
  emptyResolvConf,
  findOption,
  formatResolvConf,
  overrideResolvConf,
  parseResolvConf,
} from './resolv-conf.ts'
import { transformForInternalResolver, transformForLegacyNetwork } from './resolv-conf-transform.ts'

/** The lines between a template's first and last. */
function trim(text: string): string {
  return text.replace(/^\n/, '').replace(/^ +/gm, '')
}

describe('parsing', () => {
  it('takes servers, domains, options and the rest', () => {
    const conf = parseResolvConf(
      trim(`
        # a comment
        ; another
        nameserver 1.2.3.4 # behind it
        nameserver\t fdba:ACDD::587c
        nameserver fe80::1%eth0
        nameserver
        domain lost.example
        search a.example b.example
        options ndots:1
        options edns0  trust-ad
        sortlist 130.155.160.0/255.255.240.0

      `),
      '/etc/resolv.conf',
    )

    expect(conf).toMatchObject({
      path: '/etc/resolv.conf',
      nameServers: ['1.2.3.4', 'fdba:acdd::587c', 'fe80::1%eth0'],
      search: ['a.example', 'b.example'],
      options: ['ndots:1', 'edns0', 'trust-ad'],
      other: ['sortlist 130.155.160.0/255.255.240.0'],
      ndotsFrom: 'host',
    })
  })

  it('remembers servers that are no addresses', () => {
    expect(formatResolvConf(parseResolvConf('nameserver 1.2.3.4.5'), { comments: true })).toBe(
      trim(`

        # Based on host file: ''
        # Invalid nameservers: [1.2.3.4.5]
        # Overrides: []
      `),
    )
  })

  it('refuses a line that is too long, and takes one that is not quite', () => {
    expect(parseResolvConf('x'.repeat(65_536)).other).toHaveLength(1)
    expect(() => parseResolvConf('x'.repeat(65_537), '/etc/resolv.conf')).toThrow(
      'failed to parse resolv.conf from /etc/resolv.conf: line too long (exceeds 65536)',
    )
  })

  it.each([
    ['ndots', '3'],
    ['edns0', ''],
    ['trust', undefined],
  ])('finds the value of the last option %s: %j', (name, value) => {
    expect(findOption(parseResolvConf('options ndots:1 edns0 trust-ad\noptions ndots:3'), name)).toBe(value)
  })
})

describe('overriding', () => {
  const host = parseResolvConf('nameserver 1.2.3.4\nsearch host.example\noptions ndots:5')

  it('puts everything in the place of what the file says', () => {
    const conf = overrideResolvConf(host, {
      nameServers: ['2.3.4.5', 'fdba:acdd:587c::53'],
      search: ['com', 'invalid', '.', 'example'],
      options: ['ndots:1', 'edns0', 'trust-ad'],
    })

    expect(formatResolvConf({ ...conf, header: '# Made by hand' }, { comments: true })).toBe(
      trim(`
        # Made by hand

        nameserver 2.3.4.5
        nameserver fdba:acdd:587c::53
        search com invalid example
        options ndots:1 edns0 trust-ad

        # Based on host file: ''
        # Overrides: [nameservers search options]
        # Option ndots from: override
      `),
    )
  })

  it('takes an empty list for a wish', () => {
    const conf = overrideResolvConf(host, { nameServers: [], search: [], options: [] })

    expect(formatResolvConf(conf)).toBe('')
    expect(conf).toMatchObject({ overrides: ['nameservers', 'search', 'options'], ndotsFrom: undefined })
  })

  it('leaves alone what nobody has a wish about', () => {
    expect(overrideResolvConf(host, {})).toEqual(host)
  })

  it('adds an option, and says whose ndots it is', () => {
    expect(addOption(emptyResolvConf, 'ndots:0')).toMatchObject({ options: ['ndots:0'], ndotsFrom: 'internal' })
    expect(addOption(host, 'edns0')).toMatchObject({ options: ['ndots:5', 'edns0'], ndotsFrom: 'host' })
  })
})

describe('for a network without a resolver', () => {
  const google4 = ['8.8.8.8', '8.8.4.4']
  const google6 = ['2001:4860:4860::8888', '2001:4860:4860::8844']

  it.each([
    ['a server that can be reached', ['10.0.0.1'], false, ['10.0.0.1']],
    ['one of IPv6 where there is IPv6', ['10.0.0.1', 'fd14:6e0e:f855::1'], true, ['10.0.0.1', 'fd14:6e0e:f855::1']],
    ['one of IPv6 where there is none', ['10.0.0.1', 'fd14:6e0e:f855::1'], false, ['10.0.0.1']],
    ['one of the host alone', ['127.0.0.53'], false, google4],
    ['one of the host alone, with IPv6', ['127.0.0.53', '::1'], true, [...google4, ...google6]],
    ['one of the host and one of IPv6', ['127.0.0.53', 'fd14::1'], true, ['fd14::1']],
    ['one whose end only looks like loopback', ['fe80::1%eth0'], true, ['fe80::1%eth0']],
  ])('%s', (_what, nameServers, ipv6, expected) => {
    const conf = transformForLegacyNetwork({ ...emptyResolvConf, nameServers }, { ipv6 })

    expect(conf.nameServers).toEqual(expected)
    expect(conf.warnings).toEqual(expected[0] === google4[0] ? ['Used default nameservers.'] : [])
    expect(conf.transform).toBe('legacy')
  })

  it('what a user named is left alone', () => {
    const conf = overrideResolvConf(emptyResolvConf, { nameServers: ['127.0.0.1', '::1'] })

    expect(transformForLegacyNetwork(conf, { ipv6: false }).nameServers).toEqual(['127.0.0.1', '::1'])
  })
})

describe('for a network with a resolver', () => {
  const own = { nameServer: '127.0.0.11', requiredOptions: ['ndots:0'] }

  it('that resolver is the only server, and is told of the others', () => {
    const host = parseResolvConf('search pommesfrites.fr\nnameserver 12.34.56.78\nnameserver 2001:4860:4860::8888')

    const conf = transformForInternalResolver(host, own)

    expect(formatResolvConf(conf)).toBe('nameserver 127.0.0.11\nsearch pommesfrites.fr\noptions ndots:0\n')
    expect(formatResolvConf(conf, { comments: true })).toContain(
      '(internal resolver)\n# ExtServers: [host(12.34.56.78) host(2001:4860:4860::8888)]\n',
    )
  })

  it('servers that a user named are asked from the container', () => {
    const conf = overrideResolvConf(emptyResolvConf, { nameServers: ['127.0.0.1'] })

    expect(transformForInternalResolver(conf, own).externalServers).toEqual([{ address: '127.0.0.1', from: 'sandbox' }])
  })

  it('says that there are no others', () => {
    expect(transformForInternalResolver(emptyResolvConf, own).warnings).toEqual(['NO EXTERNAL NAMESERVERS DEFINED'])
  })

  it.each([
    ['ndots:1', ['ndots:0'], ['ndots:1'], 'host'],
    ['', ['ndots:0'], ['ndots:0'], 'internal'],
    ['ndots:-1', [], ['ndots:-1'], 'host'],
    ['ndots:-1 foo:bar ndots ndots:', ['ndots:2'], ['foo:bar', 'ndots:2'], 'internal'],
    ['ndots:1 foo:bar ndots ndots:', ['ndots:2'], ['ndots:1', 'foo:bar'], 'host'],
    [
      'trust-ad',
      ['ndots:0', 'attempts:3', 'edns0', 'trust-ad'],
      ['trust-ad', 'ndots:0', 'attempts:3', 'edns0'],
      'internal',
    ],
  ])('options %j with %j required become %j', (options, requiredOptions, expected, ndotsFrom) => {
    const conf = transformForInternalResolver(parseResolvConf(`options ${options}`), { ...own, requiredOptions })

    expect(conf).toMatchObject({ options: expected, ndotsFrom })
  })
})
