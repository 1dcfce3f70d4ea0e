import { isNetError } from '@net/types'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Idm } from './index.ts'

const step = fc.record({
  kind: fc.constantFrom('take', 'take', 'takeSpecific', 'release'),
  at: fc.nat(10_000),
  serial: fc.boolean(),
})

function codeOf(work: () => unknown): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    return isNetError(error) ? error.code : String(error)
  }
}

interface Range {
  readonly first: number
  readonly last: number
}

/** Plays the steps to a set of ids and to a plain set of numbers at once. */
function compare(
  { first, last }: Range,
  steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
): void {
  const size = last - first + 1
  const idm = new Idm({ first, last })
  const held = new Set<number>()
  const lowestFree = (): number => {
    let id = first
    while (held.has(id)) id++
    return id
  }
  for (const { kind, at, serial } of steps) {
    const id = first + (at % size)
    if (kind === 'take' && held.size === size) {
      expect(codeOf(() => idm.take({ serial }))).toBe('ERR_NO_ID_AVAILABLE')
    } else if (kind === 'take') {
      const taken = idm.take({ serial })
      if (serial) expect(held.has(taken)).toBe(false)
      else expect(taken).toBe(lowestFree())
      held.add(taken)
    } else if (kind === 'takeSpecific') {
      expect(codeOf(() => { idm.takeSpecific(id) })).toBe(held.has(id) ? 'ERR_ID_IN_USE' : undefined) // prettier-ignore
      held.add(id)
    } else {
      idm.release(id)
      held.delete(id)
    }
  }
  expect(idm.free).toBe(size - held.size)
}

describe('Idm', () => {
  it('never gives an id to two holders, and gives every id before it says that there is none', () => {
    const sets = fc.record({ first: fc.maxSafeNat(), size: fc.integer({ min: 1, max: 100 }) })
    fc.assert(
      fc.property(sets, fc.array(step, { maxLength: 300 }), ({ first, size }, steps) => {
        compare({ first, last: Math.min(first + size - 1, Number.MAX_SAFE_INTEGER) }, steps)
      }),
    )
  })

  it('does so over 100 000 operations', () => {
    compare({ first: 4096, last: 4595 }, fc.sample(step, { numRuns: 100_000, seed: 7 }))
  })
})
