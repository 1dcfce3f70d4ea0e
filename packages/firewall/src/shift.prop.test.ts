import fc from 'fast-check'
import { expect, it } from 'vitest'
import { shiftsOf, type Shift } from './shift.ts'

const MOST = 65_535

/** nf_nat_l4proto_unique_tuple of the kernel's nf_nat_core.c, for NF_NAT_RANGE_PROTO_OFFSET with base 0. */
const asTheKernel = ({ newFirst, newLast }: Shift, port: number): number => newFirst + (port % (newLast - newFirst + 1))

const request = fc
  .tuple(fc.integer({ min: 1, max: MOST }), fc.integer({ min: 1, max: MOST }))
  .chain(([hostPort, containerPort]) =>
    fc
      .integer({ min: 1, max: MOST + 1 - Math.max(hostPort, containerPort) })
      .map((count) => ({ hostPort, containerPort, count })),
  )

it('leads every port of a range to the one at the same place of the other, in a few pieces of ports that there are', () => {
  fc.assert(
    fc.property(request, fc.nat(), ({ hostPort, containerPort, count }, at) => {
      const shifts = shiftsOf(hostPort, containerPort, count)

      expect(shifts.length).toBeLessThanOrEqual(16)
      const ports = [
        0,
        count - 1,
        at % count,
        ...shifts.flatMap(({ first, last }) => [first - hostPort, last - hostPort]),
      ]
      for (const offset of ports) {
        const found = shifts.filter(({ first, last }) => first <= hostPort + offset && hostPort + offset <= last)
        expect(found.map((shift) => asTheKernel(shift, hostPort + offset))).toEqual([containerPort + offset])
      }
      expect(shifts.reduce((sum, { first, last }) => sum + last - first + 1, 0)).toBe(count)
      for (const { newFirst, newLast } of shifts) {
        expect(newFirst).toBeGreaterThanOrEqual(0)
        expect(newFirst).toBeLessThanOrEqual(newLast)
        expect(newLast).toBeLessThanOrEqual(MOST)
      }
    }),
    { numRuns: 2000 },
  )
})

it.each([
  [8000, 9000, 101, [[8000, 8100, 1000, 9100]]],
  [7000, 80, 101, [[7000, 7100, 80, 7079]]],
  // The last new port would be 79998, were the number of ports the first one.
  [40_000, 39_999, 101, [[40_000, 40_100, 32_767, 65_534]]],
  [
    100,
    50,
    301,
    [
      [100, 199, 50, 149],
      [200, 399, 150, 349],
      [400, 400, 350, 749],
    ],
  ],
])('tells the kernel of %d to %d, %d ports', (hostPort, containerPort, count, expected) => {
  expect(
    shiftsOf(hostPort, containerPort, count).map(({ first, last, newFirst, newLast }) => [
      first,
      last,
      newFirst,
      newLast,
    ]),
  ).toEqual(expected)
})
