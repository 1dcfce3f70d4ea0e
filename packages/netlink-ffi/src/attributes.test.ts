import { describe, expect, it } from 'vitest'
import {
  attributes,
  be16,
  be32,
  bytes,
  flag,
  i32,
  list,
  u16,
  u32,
  u64,
  u8,
  zstring,
  type AttributeCodec,
} from './attributes.ts'
import { Writer } from './writer.ts'

const link = attributes({ name: [3, zstring], mtu: [4, u32], info: [18, attributes({ kind: [1, zstring] })] })

/** What a codec writes, in hexadecimal. */
function written<T>(codec: AttributeCodec<T>, value: T): string {
  const writer = new Writer()
  codec.write(writer, value)
  return Buffer.from(writer.written()).toString('hex')
}

const fromHex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))

// Headers and numbers are little-endian here, as on the machines that run these tests.
describe('a set of attributes', () => {
  it('is written in the order of its keys, each padded to four bytes', () => {
    expect(written(link, { mtu: 1400, name: 'br0' })).toBe('0800' + '0400' + '78050000' + '0800' + '0300' + '62723000')
    expect(written(link, { name: 'eth0' })).toBe('0900' + '0300' + '6574683000' + '000000')
  })

  it('marks nested sets', () => {
    expect(written(link, { info: { kind: 'veth' } })).toBe('1000' + '1280' + '0900' + '0100' + '7665746800000000')
  })

  it('leaves out what is undefined', () => {
    expect(written(link, { name: undefined, mtu: 1 })).toBe('0800040001000000')
  })

  it('is read back, whatever stands between that we do not know', () => {
    const payload = fromHex('0800 ff00 01020304  0800 0400 78050000  1000 1280 0900 0100 7665746800000000')

    expect(link.read(payload)).toEqual({ mtu: 1400, info: { kind: 'veth' } })
  })

  it.each([
    ['a header cut short', '080004'],
    ['a length below that of the header', '0300040001000000'],
    ['a length beyond the end', '0c00040001000000'],
    ['a length of zero', '0000000000000000'],
    ['a number cut short', '06000400ff010000'],
  ])('refuses %s', (_, hex) => {
    expect(() => link.read(fromHex(hex))).toThrow(
      expect.objectContaining({ code: 'ERR_MALFORMED_MESSAGE', kind: 'internal' }) as Error,
    )
  })

  it('refuses to write more than an attribute can hold', () => {
    const raw = attributes({ data: [1, bytes] })

    expect(written(raw, { data: new Uint8Array(0xfffb) })).toHaveLength(2 * 0x10000)
    expect(() => written(raw, { data: new Uint8Array(0xfffc) })).toThrow(
      expect.objectContaining({ code: 'ERR_VALUE_OUT_OF_RANGE' }) as Error,
    )
  })
})

describe('values', () => {
  it.each<[string, AttributeCodec<unknown>, unknown, string]>([
    ['u8', u8, 200, 'c8'],
    ['u16', u16, 0x1234, '3412'],
    ['u32', u32, 0xdeadbeef, 'efbeadde'],
    ['i32', i32, -2, 'feffffff'],
    ['u64', u64, 0x0102030405060708n, '0807060504030201'],
    ['be16', be16, 0x1234, '1234'],
    ['be32', be32, 0xdeadbeef, 'deadbeef'],
    ['zstring', zstring, 'br0', '62723000'],
    ['zstring', zstring, 'Brücke', '4272c3bc636b6500'],
    ['list', list(1, u32), [1, 2], '08000100010000000800010002000000'],
  ])('%s is written and read back', (_, codec, value, hex) => {
    expect(written(codec, value)).toBe(hex)
    expect(codec.read(fromHex(hex))).toEqual(value)
  })

  it('a flag is there or not', () => {
    const flags = attributes({ up: [7, flag] })

    expect(written(flags, { up: true })).toBe('04000700')
    expect(flags.read(fromHex('04000700'))).toEqual({ up: true })
    expect(flags.read(new Uint8Array())).toEqual({})
  })

  it('text without its zero byte is text all the same', () => {
    expect(zstring.read(fromHex('627230'))).toBe('br0')
  })

  it.each<[string, AttributeCodec<unknown>, unknown, string]>([
    ['u32', u32, 0xdeadbeef, 'efbeadde'],
    ['bytes', bytes, fromHex('0102'), '0102'],
    ['zstring', zstring, 'br0', '62723000'],
    ['zstring without its zero byte', zstring, 'br0', '627230'],
    ['list', list(1, u16), [1, 2], '06000100010000000600010002000000'],
    ['set', link, { info: { kind: 'veth' } }, '1000 1280 0900 0100 7665746800000000'],
  ])('%s is read from the midst of others', (_, codec, value, hex) => {
    const payload = fromHex(hex)
    // In a buffer that begins before, and goes on after it.
    const all = Uint8Array.of(255, 255, 255, ...payload, 255, 0, 255).subarray(1)

    expect(codec.read(all, 2, 2 + payload.length)).toEqual(value)
  })

  it.each<[string, AttributeCodec<unknown>, string]>([
    ['a number', u32, 'efbead'],
    ['a list', list(1, u16), '0800010001'],
    ['a set', link, '0900030065746830'],
  ])('%s is not read on beyond its end', (_, codec, hex) => {
    const payload = fromHex(hex)
    const all = Uint8Array.of(...payload, 0, 0, 0, 0, 0)

    expect(() => codec.read(all, 0, payload.length)).toThrow(
      expect.objectContaining({ code: 'ERR_MALFORMED_MESSAGE' }) as Error,
    )
  })
})
