import { describe, expect, it } from 'vitest'
import {
  addressFromBytes,
  addressToBytes,
  cidrsOverlap,
  containsAddress,
  formatAddress,
  formatCidr,
  isAddress,
  isCidr,
  networkOf,
  parseAddress,
  parseCidr,
  rangeOf,
} from './index.ts'

const code = (name: string): object => expect.objectContaining({ code: name, kind: 'bad-request' }) as object

describe('parseAddress', () => {
  it.each([
    ['10.0.0.2', 4, 0x0a000002n],
    ['0.0.0.0', 4, 0n],
    ['255.255.255.255', 4, 0xffffffffn],
    ['::', 6, 0n],
    ['::1', 6, 1n],
    ['FD00::AB', 6, 0xfd0000000000000000000000000000abn],
    ['fd00:1:2:3:4:5:6:7', 6, 0xfd000001000200030004000500060007n],
  ])('reads %s', (text, family, value) => {
    expect(parseAddress(text)).toEqual({ family, value })
  })

  it.each([
    ['nothing', ''],
    ['leading zeros', '10.0.0.02'],
    ['leading zeros in any place', '010.0.0.2'],
    ['too few numbers', '10.0.2'],
    ['too many numbers', '10.0.0.2.1'],
    ['a number too large', '10.0.0.256'],
    ['hexadecimal numbers', '0x0a.0.0.2'],
    ['a number alone', '167772162'],
    ['white space before it', ' 10.0.0.2'],
    ['white space after it', '10.0.0.2\n'],
    ['a prefix length', '10.0.0.2/24'],
    ['a zone', 'fe80::1%eth0'],
    ['brackets', '[::1]'],
    ['two gaps', 'fd00::1::2'],
    ['three colons', 'fd00:::1'],
    ['too few groups', 'fd00:1:2:3'],
    ['too many groups', '1:2:3:4:5:6:7:8:9'],
    ['a group too long', 'fd00::12345'],
    ['a colon at its end', 'fd00::1:'],
    ['letters that are no digits', 'fd00::g'],
  ])('refuses %s', (_what, text) => {
    expect(() => parseAddress(text)).toThrow(code('ERR_INVALID_ADDRESS'))
  })

  it('refuses an IPv4 address in the guise of IPv6, and says what to write', () => {
    expect(() => parseAddress('::ffff:10.0.0.2')).toThrow(code('ERR_INVALID_ADDRESS'))
    expect(() => parseAddress('::ffff:a00:2')).toThrow('expected the IPv4 address itself, 10.0.0.2')
  })
})

describe('formatAddress', () => {
  // RFC 5952, section 4
  it.each([
    ['2001:0db8:0000:0000:0000:0000:0002:0001', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8::ABCD', '2001:db8::abcd'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['1:2:3:4:5:6:7:0', '1:2:3:4:5:6:7:0'],
    ['0:2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ])('writes %s as %s', (text, expected) => {
    expect(formatAddress(parseAddress(text))).toBe(expected)
  })

  it.each(['0.0.0.0', '10.0.0.2', '192.168.255.1', '255.255.255.255'])('writes %s as it was read', (text) => {
    expect(formatAddress(parseAddress(text))).toBe(text)
  })
})

describe('parseCidr', () => {
  it('keeps the host bits', () => {
    expect(formatCidr(parseCidr('10.0.0.2/24'))).toBe('10.0.0.2/24')
    expect(formatCidr(networkOf(parseCidr('10.0.0.2/24')))).toBe('10.0.0.0/24')
    expect(formatCidr(networkOf(parseCidr('fd00:1:2:3:4::5/56')))).toBe('fd00:1:2::/56')
  })

  it.each([
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '::/129',
    '/24',
    '10.0.0.0/24/8',
    '10.0.0/24',
    '10.0.0.0 /24',
    '10.0.0.0/24 ',
    '::ffff:10.0.0.0/120',
  ])('refuses %j', (text) => {
    // prettier-ignore
    expect(() => parseCidr(text)).toThrow(code('ERR_INVALID_CIDR'))
  })
})

describe('isAddress and isCidr', () => {
  it('are true of what is one, in the family that is named', () => {
    expect([isAddress('10.0.0.2'), isAddress('10.0.0.2', 4), isAddress('10.0.0.2', 6)]).toEqual([true, true, false])
    expect([isCidr('fd00::/64'), isCidr('fd00::/64', 6), isCidr('fd00::/64', 4)]).toEqual([true, true, false])
    expect([isAddress('10.0.0.0/8'), isAddress(''), isCidr('10.0.0.2'), isCidr('10.0.0.0/33')]).toEqual(
      Array.from({ length: 4 }, () => false),
    )
  })
})

describe('networks', () => {
  it('reach from their first to their last address', () => {
    expect(rangeOf(parseCidr('10.0.0.77/30'))).toEqual({ first: 0x0a00004cn, last: 0x0a00004fn })
    expect(rangeOf(parseCidr('10.0.0.77/32'))).toEqual({ first: 0x0a00004dn, last: 0x0a00004dn })
    expect(rangeOf(parseCidr('::/0'))).toEqual({ first: 0n, last: 2n ** 128n - 1n })
  })

  it.each([
    ['10.0.0.0/24', '10.0.0.255', true],
    ['10.0.0.0/24', '10.0.1.0', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['::/0', '10.0.0.1', false],
    ['fd00::/8', 'fdff::1', true],
  ])('%s contains %s: %s', (cidr, address, expected) => {
    expect(containsAddress(parseCidr(cidr), parseAddress(address))).toBe(expected)
  })

  it.each([
    ['10.0.0.0/8', '10.1.0.0/16', true],
    ['10.0.0.0/16', '10.1.0.0/16', false],
    ['0.0.0.0/0', '::/0', false],
    ['fd00::/8', 'fd00::1/128', true],
  ])('%s and %s overlap, either way round: %s', (one, other, expected) => {
    expect(cidrsOverlap(parseCidr(one), parseCidr(other))).toBe(expected)
    expect(cidrsOverlap(parseCidr(other), parseCidr(one))).toBe(expected)
  })
})

describe('bytes of addresses', () => {
  it.each([
    ['10.0.0.2', '0a000002'],
    ['fd00::2', 'fd000000000000000000000000000002'],
  ])('are those of %s in network order', (text, hex) => {
    expect(Buffer.from(addressToBytes(parseAddress(text))).toString('hex')).toBe(hex)
    expect(formatAddress(addressFromBytes(Buffer.from(hex, 'hex')))).toBe(text)
  })

  it.each([0, 3, 5, 15, 17])('are refused when they are %i', (length) => {
    expect(() => addressFromBytes(new Uint8Array(length))).toThrow(code('ERR_INVALID_ADDRESS'))
  })
})
