import { isNetError } from '@net/types'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Idm } from './index.ts'

const step = fc.record({
  kind: fc.constantFrom('take', 'take', 'takeSpecific', 'release'),
  at: fc.nat(10_000),
  serial: fc.boolean(),
})

function codeOf(work: () => void): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    return isNetError(error) ? error.code : String(error)
  }
}

describe('Idm', () => {
  it('never gives an id to two holders, and gives every id before it says that there is none', () => {
    const sets = fc.record({ first: fc.maxSafeNat(), size: fc.integer({ min: 1, max: 100 }) })
    fc.assert(
      fc.property(sets, fc.array(step, { maxLength: 300 }), ({ first, size }, steps) => {
        const last = Math.min(first + size - 1, Number.MAX_SAFE_INTEGER)
        const idm = new Idm({ first, last })
        const held = new Set<number>()
        for (const { kind, at, serial } of steps) {
          const id = first + (at % (last - first + 1))
          if (kind === 'take') {
            const isFull = held.size === last - first + 1
            const code = codeOf(() => {
              const taken = idm.take({ serial })
              expect(held.has(taken)).toBe(false)
              if (!serial) for (let lower = first; lower < taken; lower++) expect(held.has(lower)).toBe(true)
              held.add(taken)
            })
            expect(code).toBe(isFull ? 'ERR_NO_ID_AVAILABLE' : undefined)
          } else if (kind === 'takeSpecific') {
            expect(codeOf(() => { idm.takeSpecific(id) })).toBe(held.has(id) ? 'ERR_ID_IN_USE' : undefined) // prettier-ignore
            held.add(id)
          } else {
            idm.release(id)
            held.delete(id)
          }
        }
        expect(idm.free).toBe(last - first + 1 - held.size)
      }),
    )
  })
})
