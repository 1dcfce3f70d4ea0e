import { describe, expect, it } from 'vitest'
import { openValue, sealValue } from './index.ts'

const damaged = expect.objectContaining({ code: 'ERR_VALUE_DAMAGED', key: 'a' }) as object
const value = new TextEncoder().encode('one')

describe('a sealed value', () => {
  it('is a byte of format, the CRC-32 of key and value, and the value', () => {
    expect(Buffer.from(sealValue('a', value)).toString('hex')).toBe('01' + '27f31099' + '6f6e65')
  })

  it.each([0, 1, 1000])('opens to what was sealed: %d bytes', (length) => {
    const bytes = new Uint8Array(length).fill(7)

    expect(openValue('a', sealValue('a', bytes))).toEqual(bytes)
  })

  it.each([new Uint8Array(), new TextEncoder().encode(''), value.subarray(3), Buffer.alloc(0), Buffer.from('')])(
    'is the same for nothing, wherever that nothing lies',
    (nothing) => {
      expect(sealValue('a', nothing)).toEqual(sealValue('a', new Uint8Array()))
      expect(openValue('a', sealValue('a', nothing))).toHaveLength(0)
    },
  )

  it('does not open when any bit of it differs', () => {
    const sealed = sealValue('a', value)
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const spoilt = sealed.slice()
      spoilt[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => openValue('a', spoilt), `bit ${bit}`).toThrow(damaged)
    }
  })

  it('does not open when it is cut short', () => {
    const sealed = sealValue('a', value)
    for (let length = 0; length < sealed.length; length++)
      expect(() => openValue('a', sealed.subarray(0, length))).toThrow(damaged)
  })

  it('does not open under another key', () => {
    expect(() => openValue('a', sealValue('b', value))).toThrow(damaged)
  })
})
