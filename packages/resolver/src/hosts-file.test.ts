import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatHostRecords, formatHosts, ownHostRecord, removeHostRecords, updateHostAddress } from './hosts-file.ts'

const record = { address: '10.11.12.13', names: ['test.example', 'test'] }

describe('a hosts file', () => {
  it('begins with what every host has', () => {
    expect(formatHosts([record], { ipv6: true })).toBe(
      [
        '127.0.0.1\tlocalhost',
        '::1\tlocalhost ip6-localhost ip6-loopback',
        'fe00::\tip6-localnet',
        'ff00::\tip6-mcastprefix',
        'ff02::1\tip6-allnodes',
        'ff02::2\tip6-allrouters',
        '10.11.12.13\ttest.example test',
        '',
      ].join('\n'),
    )
  })

  it('has nothing of IPv6 where there is none', () => {
    const records = [record, { address: 'fd00::1', names: ['six'] }]

    expect(formatHosts(records, { ipv6: false })).toBe('127.0.0.1\tlocalhost\n10.11.12.13\ttest.example test\n')
  })

  it.each([
    ['test', '', ['test']],
    ['test', 'example.org', ['test.example.org', 'test']],
    ['test.example.org', '', ['test.example.org', 'test']],
  ])('calls a container %s of domain %j by its names', (hostname, domainname, names) => {
    expect(ownHostRecord('10.0.0.1', hostname, domainname)).toEqual({ address: '10.0.0.1', names })
  })

  it.each(['', 'two words', 'line\n6.6.6.6\tbank', 'a#b', 'tab\t'])('refuses the name %j', (name) => {
    expect(() => formatHostRecords([{ address: '10.0.0.1', names: [name] }])).toThrow('invalid host name')
  })

  it('refuses an address that is none, and a record without names', () => {
    expect(() => formatHostRecords([{ address: '10.0.0.1\n', names: ['a'] }])).toThrow('invalid address')
    expect(() => formatHostRecords([{ address: '10.0.0.1', names: [] }])).toThrow('invalid host name')
  })
})

describe('removing', () => {
  it('takes the lines of a record, and no others', () => {
    const text = '# 10.0.0.1\tweb\n10.0.0.1\tweb\n\n10.0.0.2\tweb\n10.0.0.1\tweb2\n10.0.0.1\tdb web\nFD00::1\tweb'

    expect(
      removeHostRecords(text, [
        { address: '10.0.0.1', names: ['web'] },
        { address: 'fd00::1', names: ['web'] },
      ]),
    ).toBe('# 10.0.0.1\tweb\n10.0.0.2\tweb\n10.0.0.1\tweb2\n10.0.0.1\tdb web\n')
  })

  it('undoes adding, whatever is there', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9.-]{0,10}$/)
    const records = fc.array(fc.record({ address: fc.ipV4(), names: fc.array(name, { minLength: 1, maxLength: 3 }) }), {
      maxLength: 5,
    })
    fc.assert(
      fc.property(records, (added) => {
        const before = formatHosts([], { ipv6: true })

        expect(removeHostRecords(before + formatHostRecords(added), added)).toBe(removeHostRecords(before, added))
      }),
    )
  })
})

describe('updating', () => {
  it.each([
    ['the name alone', '1.1.1.1\tweb\n', '2.2.2.2\tweb\n'],
    ['the name with a domain', '1.1.1.1\tweb.example web\n', '2.2.2.2\tweb.example web\n'],
    ['a name that begins alike', '1.1.1.1\twebAndMore\n', '1.1.1.1\twebAndMore\n'],
    ['a line without an end', '1.1.1.1\tweb', '1.1.1.1\tweb'],
    ['several lines', '1.1.1.1\tweb\n3.3.3.3\tdb\n4.4.4.4\tweb x\n', '2.2.2.2\tweb\n3.3.3.3\tdb\n2.2.2.2\tweb x\n'],
  ])('%s', (_what, before, after) => {
    expect(updateHostAddress(before, 'web', '2.2.2.2')).toBe(after)
  })

  it('takes a name by its letters', () => {
    expect(updateHostAddress('1.1.1.1\twxb\n1.1.1.1\tw.b\n', 'w.b', '2.2.2.2')).toBe('1.1.1.1\twxb\n2.2.2.2\tw.b\n')
  })
})
