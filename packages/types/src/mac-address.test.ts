import { describe, expect, it } from 'vitest'
import {
  formatAddress,
  linkLocalAddressOf,
  macAddressFromBytes,
  macAddressOf,
  macAddressToBytes,
  parseAddress,
  parseMacAddress,
  randomMacAddress,
} from './index.ts'

describe('MAC addresses', () => {
  it('are read in either case', () => {
    expect(parseMacAddress('02:42:AC:11:00:02')).toBe('02:42:ac:11:00:02')
  })

  it.each([
    ['nothing', ''],
    ['five bytes', '02:42:ac:11:00'],
    ['seven bytes', '02:42:ac:11:00:02:03'],
    ['dashes', '02-42-ac-11-00-02'],
    ['one digit', '2:42:ac:11:00:02'],
    ['white space', '02:42:ac:11:00:02 '],
    ['the address of a group', '01:00:5e:00:00:01'],
    ['the address of everybody', 'ff:ff:ff:ff:ff:ff'],
    ['zeros', '00:00:00:00:00:00'],
  ])('are refused with %s', (_what, text) => {
    expect(() => parseMacAddress(text)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_MAC_ADDRESS' }))
  })

  it('come back from their bytes', () => {
    expect([...macAddressToBytes('02:42:ac:11:00:0f')]).toEqual([0x02, 0x42, 0xac, 0x11, 0, 0x0f])
    expect(macAddressFromBytes(Uint8Array.of(2, 0x42, 0xac, 0x11, 0, 15))).toBe('02:42:ac:11:00:0f')
  })

  it('follow from an IPv4 address, as in libnetwork', () => {
    expect(macAddressOf(parseAddress('172.17.0.2'))).toBe('02:42:ac:11:00:02')
  })

  it.each([
    ['02:42:ac:11:00:02', 'fe80::42:acff:fe11:2'],
    ['00:16:3e:00:00:01', 'fe80::216:3eff:fe00:1'],
    ['fe:ff:ff:ff:ff:ff', 'fe80::fcff:ffff:feff:ffff'],
  ])('make link-local addresses: %s', (macAddress, address) => {
    expect(formatAddress(linkLocalAddressOf(macAddress))).toBe(address)
  })

  it('made at random are of one interface, administered locally, and differ', () => {
    const made = Array.from({ length: 100 }, randomMacAddress)

    for (const address of made) {
      expect(parseMacAddress(address)).toBe(address)
      expect((macAddressToBytes(address)[0] ?? 0) & 3).toBe(2)
    }
    expect(new Set(made).size).toBe(100)
  })
})
