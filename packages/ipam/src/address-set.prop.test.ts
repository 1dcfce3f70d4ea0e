import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AddressSet } from './address-set.ts'

const HOST_BITS = 66
const LAST = (1n << 66n) - 1n
/** Near the borders of rows, where things go wrong if anywhere. */
const anyOffset = fc.bigInt({ min: 0n, max: 31n }).map((at) => ((at >> 3n) << 64n) + [0n, 1n, 2n, 63n, 64n, (1n << 32n), (1n << 64n) - 2n, (1n << 64n) - 1n][Number(at & 7n)]!) // prettier-ignore
const anyRange = fc.tuple(anyOffset, anyOffset).map(([one, other]) => (one < other ? [one, other] : [other, one])) // prettier-ignore
const anyStep = fc.oneof(
  fc.record({ type: fc.constant('add' as const), offset: anyOffset }),
  fc.record({ type: fc.constant('remove' as const), offset: anyOffset }),
  fc.record({ type: fc.constant('take' as const), range: anyRange, serial: fc.boolean() }),
  fc.record({ type: fc.constant('removeOthers' as const), range: anyRange, keep: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ type: fc.constant('giveBack' as const) }),
)

describe('the addresses of a pool that is wider than a row', () => {
  it('are those of a plain set of numbers', () => {
    fc.assert(
      fc.property(
        fc.array(anyStep, { maxLength: 60 }),
        fc.array(anyRange, { minLength: 3, maxLength: 3 }),
        (steps, ranges) => {
          const set = new AddressSet(HOST_BITS)
          const model = new Set<bigint>()
          const inRange = ([first, last]: bigint[]): bigint[] => [...model].filter((at) => at >= first! && at <= last!)
          let taken: bigint | undefined
          for (const step of steps) {
            if (step.type === 'add') {
              expect(set.add(step.offset)).toBe(!model.has(step.offset))
              model.add(step.offset)
            } else if (step.type === 'remove') {
              set.remove(step.offset)
              model.delete(step.offset)
            } else if (step.type === 'take') {
              const [first, last] = step.range as [bigint, bigint]
              taken = set.take(first, last, step.serial)
              if (taken === undefined) expect(inRange(step.range)).toHaveLength(Number(last - first + 1n))
              else expect(taken >= first && taken <= last && !model.has(taken)).toBe(true)
              if (taken !== undefined) model.add(taken)
            } else if (step.type === 'removeOthers') {
              const [first, last] = step.range as [bigint, bigint]
              const there = inRange(step.range).sort((a, b) => (a < b ? -1 : 1))
              const kept = there.slice(0, step.keep)
              set.removeOthers(first, last, kept)
              for (const offset of there.slice(step.keep)) model.delete(offset)
            } else if (taken !== undefined) {
              set.giveBack(taken)
              model.delete(taken)
            }
          }

          expect(set.size).toBe(BigInt(model.size))
          for (const range of [...ranges, [0n, LAST]])
            expect(set.count(range[0]!, range[1]!)).toBe(BigInt(inRange(range).length))
          for (const offset of model) expect(set.has(offset)).toBe(true)
        },
      ),
    )
  })

  it('are given in a circle that goes on where the last was given back', () => {
    const set = new AddressSet(3)
    const serial = (): bigint | undefined => set.take(0n, 7n, true)
    expect([serial(), serial()]).toEqual([0n, 1n])

    set.giveBack(1n)
    set.giveBack(0n)

    expect([serial(), serial(), serial()]).toEqual([0n, 1n, 2n])
    set.remove(0n)
    expect(serial()).toBe(3n)
    set.giveBack(3n)
    expect(serial()).toBe(3n)
  })
})
