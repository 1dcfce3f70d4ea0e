import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareKeys } from './index.ts'

const key = fc.string({ unit: 'binary', maxLength: 4 })

describe('compareKeys', () => {
  it('orders keys as their bytes', () => {
    fc.assert(
      fc.property(key, key, (one, other) => {
        expect(Math.sign(compareKeys(one, other))).toBe(Buffer.compare(Buffer.from(one), Buffer.from(other)))
      }),
      {
        numRuns: 2000,
        examples: [
          ['\uFFFD', '😀'],
          ['a', 'a'],
          ['a', 'ab'],
        ],
      },
    )
  })
})
