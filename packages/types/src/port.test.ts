import { describe, expect, it } from 'vitest'
import { checkPort, checkPortCount, formatPorts, formatTransportPort, isProtocol, parseTransportPort } from './index.ts'

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

  it.each([
    [80, 1, '80'],
    [8000, 100, '8000-8099'],
    [1, 65_535, '1-65535'],
    [65_535, 1, '65535'],
  ])('come several in a row: from %d on, %d', (port, count, text) => {
    expect(checkPortCount(port, count)).toBe(count)
    expect(formatPorts(port, count)).toBe(text)
  })

  it.each([
    [65_535, 2],
    [1, 65_536],
    [80, 0],
    [80, -1],
    [80, 1.5],
    [80, Number.NaN],
    [0, 1],
  ])('do not come so many in a row: from %d on, %d', (port, count) => {
    expect(() => checkPortCount(port, count)).toThrow(code)
  })

  it('have one of three protocols', () => {
    expect(['tcp', 'udp', 'sctp', 'icmp', 'TCP', 6, undefined].filter(isProtocol)).toEqual(['tcp', 'udp', 'sctp'])
  })
})
