import fc from 'fast-check'
import { isIP, isIPv6 } from 'node:net'
import { describe, expect, it } from 'vitest'
import { addressFromBytes, addressToBytes, formatAddress, parseAddress, type Address } from './index.ts'

const address = fc
  .oneof(
    fc.record({ family: fc.constant(4 as const), value: fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }) }),
    fc.record({ family: fc.constant(6 as const), value: fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }) }),
    // Many groups of zeros.
    fc.array(fc.constantFrom(0n, 0n, 1n, 0xffffn), { minLength: 8, maxLength: 8 }).map((groups) => ({
      family: 6 as const,
      value: groups.reduce<bigint>((value, group) => (value << 16n) | group, 0n),
    })),
  )
  .filter(({ family, value }: Address) => family === 4 || value >> 32n !== 0xffffn)

describe('addresses', () => {
  it('are read as they are written', () => {
    fc.assert(
      fc.property(address, (address) => {
        expect(parseAddress(formatAddress(address))).toEqual(address)
      }),
    )
  })

  it('are written as the platform writes them', () => {
    fc.assert(
      fc.property(address, (address) => {
        const text = formatAddress(address)
        if (address.family === 6) expect(isIPv6(text)).toBe(true)
        // URL knows one spelling of each IPv6 address.
        if (address.family === 6 && address.value >> 32n !== 0n)
          expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`)
      }),
    )
  })

  it('are read where the platform takes them for addresses, but for IPv4 in the guise of IPv6', () => {
    const piece = fc.constantFrom(
      '0',
      '1',
      '00',
      '01',
      '255',
      '256',
      'ff',
      'FFFF',
      'g',
      '12345',
      '.',
      ':',
      '::',
      '%',
      ' ',
    )
    const text = fc.oneof(
      fc.array(piece, { maxLength: 16 }).map((pieces) => pieces.join('')),
      fc.array(fc.constantFrom('0', '1', 'ff', ''), { maxLength: 9 }).map((groups) => groups.join(':')),
      fc.array(fc.constantFrom('0', '1', '255', '01', ''), { maxLength: 5 }).map((octets) => octets.join('.')),
    )
    const read = (text: string): Address | undefined => {
      try {
        return parseAddress(text)
      } catch {
        // Whether it is refused is what this is about; the errors have tests of their own.
        return undefined
      }
    }
    fc.assert(
      fc.property(text, (text) => {
        fc.pre(!/:.*\./.test(text) && !/^(0*:)*:?:?ffff(:[^:]+){2}$|%/i.test(text))
        expect(read(text)?.family ?? 0).toBe(isIP(text))
      }),
      { numRuns: 5000 },
    )
  })

  it('come back from their bytes', () => {
    fc.assert(
      fc.property(address, (address) => {
        expect(addressFromBytes(addressToBytes(address))).toEqual(address)
      }),
    )
  })
})
