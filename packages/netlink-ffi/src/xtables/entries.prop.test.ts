import { isNetError } from '@net/types'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { decodeEntries, entryLayouts } from './entries.ts'

/** A rule with a match and a verdict. */
function sound(family: 4 | 6): Uint8Array {
  const { entryBytes, targetOffset } = entryLayouts[family]
  const bytes = new Uint8Array(entryBytes + 32 + 40)
  const view = new DataView(bytes.buffer)
  view.setUint16(targetOffset, entryBytes + 32, true)
  view.setUint16(targetOffset + 2, bytes.length, true)
  view.setUint16(entryBytes, 32, true)
  view.setInt32(entryBytes + 64, -1, true)
  return bytes
}

describe.each([4, 6] as const)('rules of xtables, IPv%i', (family) => {
  it('are read or refused as malformed, whatever bytes come', () => {
    const bytes = sound(family)
    const damage = fc.array(fc.tuple(fc.nat(bytes.length * 2 - 1), fc.nat(255)), { maxLength: 8 })
    fc.assert(
      fc.property(damage, fc.nat(bytes.length * 2), (changes, length) => {
        const two = Uint8Array.from([...bytes, ...bytes])
        for (const [at, value] of changes) two[at] = value
        try {
          decodeEntries(two.subarray(0, length), entryLayouts[family])
        } catch (error) {
          if (!isNetError(error, 'ERR_MALFORMED_MESSAGE')) throw error
        }
      }),
    )
  })
})
