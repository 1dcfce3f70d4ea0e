import { sealValue } from '@net/datastore'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeState, encodeState, FORMAT, formatOf, recentChange, type StoreState } from './store-state.ts'

const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const states: fc.Arbitrary<StoreState> = fc.record({
  format: fc.constant(FORMAT),
  revision: count,
  oldest: count,
  logBytes: count,
  entries: count,
  recent: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }),
})

const FIRST = { format: 1, revision: 7, oldest: 2, logBytes: 300, entries: 4 }
const ofFirstFormat = (state: object): Uint8Array => sealValue('state', Buffer.from(JSON.stringify(state)))

describe('the state of a store', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(states, (state) => {
        const read = decodeState(encodeState(state))
        expect({ ...read, recent: read.recent.map((change) => [...change]) }).toEqual({
          ...state,
          recent: state.recent.map((change) => [...change]),
        })
      }),
    )
  })

  it('is read from a file of format 1, which has no recent changes', () => {
    expect(decodeState(ofFirstFormat(FIRST))).toEqual({ ...FIRST, recent: [] })
  })

  it('names its format, also one that is not known yet', () => {
    expect(formatOf(ofFirstFormat(FIRST))).toBe(1)
    expect(formatOf(ofFirstFormat({ format: 9 }))).toBe(9)
    expect(formatOf(encodeState(decodeState(ofFirstFormat(FIRST))))).toBe(FORMAT)
  })

  it('is damaged where a bit of its head was turned, and where its length is not what it says', () => {
    const record = Buffer.from(encodeState({ ...FIRST, recent: [Buffer.from('one'), Buffer.from('two')] }))
    const head = record.length - 6
    for (let bit = 0; bit < head * 8; bit++) {
      const turned = Buffer.from(record)
      turned.writeUInt8(turned.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      expect(() => decodeState(turned)).toThrow(expect.objectContaining({ code: 'ERR_VALUE_DAMAGED' }))
    }
    for (let length = 0; length < record.length; length++)
      expect(() => decodeState(record.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'ERR_VALUE_DAMAGED' }),
      )
  })

  it('is sound where a change that came with it is not: that one has a checksum of its own', () => {
    const record = Buffer.from(encodeState({ ...FIRST, recent: [Buffer.from('one')] }))
    record.write('x', record.length - 1)

    expect(decodeState(record)).toMatchObject({ revision: 7, oldest: 2, entries: 4 })
  })

  it('has the changes up to its revision, the last of them last', () => {
    const state = { ...FIRST, recent: ['6', '7'].map((text) => Buffer.from(text)) }

    expect([5, 6, 7, 8].map((revision) => recentChange(state, revision)?.toString())).toEqual([undefined, '6', '7', undefined]) // prettier-ignore
  })
})
