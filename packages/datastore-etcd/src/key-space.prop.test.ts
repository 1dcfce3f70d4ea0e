import { checkKey, compareKeys } from '@net/datastore'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeySpace } from './key-space.ts'

const keys = new KeySpace('net/data/')
const bytesOf = (key: string): Buffer => Buffer.from(keys.key(key), 'base64')

/** Keys that a store takes, not all of them plain, with parts in common. */
const key = fc
  .array(fc.oneof(fc.constantFrom('a', 'b', '/', 'é', '\uFFFD', '😀', '\uFEFF'), fc.string({ unit: 'binary' })), {
    minLength: 1,
    maxLength: 4,
  })
  .map((parts) => parts.join(''))
  .filter((text) => isKey(text))

describe('a key in etcd', () => {
  it('has the name that it was made from', () => {
    fc.assert(
      fc.property(key, (name) => {
        expect(keys.nameOf(bytesOf(name))).toBe(name)
      }),
    )
  })

  it('lies in the range of a prefix exactly if its name begins with it, and behind a key exactly if it is greater', () => {
    fc.assert(
      fc.property(key, fc.oneof(key, fc.constant('')), fc.oneof(key, fc.constant('')), (name, prefix, after) => {
        const { first, end } = keys.range(prefix, after)
        const isWithin = Buffer.compare(bytesOf(name), first) >= 0 && Buffer.compare(bytesOf(name), end) < 0

        expect(isWithin).toBe(name.startsWith(prefix) && compareKeys(name, after) > 0)
      }),
    )
  })

  it('that was made by others may have no name', () => {
    expect(keys.nameOf(Buffer.from('net/other'))).toBeUndefined()
    expect(keys.nameOf(Buffer.from('net'))).toBeUndefined()
    expect(keys.nameOf(Buffer.concat([Buffer.from('net/data/'), Buffer.from([0xc0, 0x80])]))).toBeUndefined()
  })
})

function isKey(text: string): boolean {
  try {
    checkKey(text)
    return true
  } catch {
    // One that no store takes, for whichever reason.
    return false
  }
}
