import { describe, expect, it } from 'vitest'
import { checkPort, formatTransportPort, isProtocol, parseTransportPort } from './index.ts'

const code = expect.objectContaining({ code: 'ERR_INVALID_PORT', kind: 'bad-request' }) as object

describe('ports', () => {
  it.each([
    ['tcp/80', { protocol: 'tcp', port: 80 }],
    ['UDP/53', { protocol: 'udp', port: 53 }],
    ['sctp/65535', { protocol: 'sctp', port: 65535 }],
  ])('are read from %s', (text, expected) => {
    expect(parseTransportPort(text)).toEqual(expected)
    expect(formatTransportPort(parseTransportPort(text))).toBe(text.toLowerCase())
  })

  it.each([
    '',
    'tcp',
    '80',
    'tcp/',
    'tcp/0',
    'tcp/65536',
    'tcp/080',
    'tcp/8a',
    'icmp/80',
    'tcp/80/90',
    'tcp/ 80',
    '80/tcp',
    'toString/80',
  ])('are not read from %j', (text) => {
    // prettier-ignore
    expect(() => parseTransportPort(text)).toThrow(code)
  })

  it.each([0, 65_536, -1, 1.5, Number.NaN])('are not %d', (port) => {
    expect(() => checkPort(port)).toThrow(code)
  })

  it('have one of three protocols', () => {
    expect(['tcp', 'udp', 'sctp', 'icmp', 'TCP', 6, undefined].filter(isProtocol)).toEqual(['tcp', 'udp', 'sctp'])
  })
})
