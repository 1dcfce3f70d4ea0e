import fc from 'fast-check'
import { expect, it } from 'vitest'
import { RangeMap } from './index.ts'

const SIZE = 40

const range = fc
  .tuple(fc.nat(SIZE - 1), fc.nat(SIZE - 1))
  .map(([one, other]) => [Math.min(one, other), Math.max(one, other)] as const)
const step = fc.record({ adds: fc.boolean(), range, value: fc.nat(3) })

/** The runs of one and the same entry in an array that has, at each number, its entry. */
const entriesOf = (numbers: readonly (object | undefined)[], first: number, last: number): object[] => [
  ...new Set(numbers.slice(first, last + 1).filter((entry) => entry !== undefined)),
]

it('says of every range what an array of its numbers says', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), range, (steps, [from, to]) => {
      const map = new RangeMap<number>()
      const numbers: (object | undefined)[] = Array.from({ length: SIZE })
      for (const {
        adds,
        range: [first, last],
        value,
      } of steps) {
        const entry = { first, last, value }
        const there = entriesOf(numbers, first, last)[0] as typeof entry | undefined
        if (!adds) {
          const isExact = there?.first === first && there.last === last
          expect(map.remove(first, last)).toBe(isExact)
          if (isExact) numbers.fill(undefined, first, last + 1)
        } else if (there === undefined) {
          map.add(first, last, value)
          numbers.fill(entry, first, last + 1)
        } else {
          expect(() => {
            map.add(first, last, value)
          }).toThrow(RangeError)
        }
      }

      expect(map.overlapping(from, to)).toEqual(entriesOf(numbers, from, to))
      expect(map.find(from, to)).toEqual(entriesOf(numbers, from, to)[0])
      expect([...map]).toEqual(entriesOf(numbers, 0, SIZE - 1))
      expect(map.size).toBe([...map].length)
    }),
  )
})

it('refuses a range that ends before it begins', () => {
  expect(() => {
    new RangeMap().add(2, 1, '')
  }).toThrow(RangeError)
})
