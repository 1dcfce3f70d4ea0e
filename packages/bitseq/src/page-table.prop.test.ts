import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PageTable } from './page-table.ts'

describe('PageTable', () => {
  it('does what a Map does', () => {
    const page = fc.oneof(fc.nat(40), fc.integer({ min: 2 ** 52, max: 2 ** 52 + 40 }), fc.maxSafeNat())
    const change = fc.record({ page, place: fc.nat(1000), isDelete: fc.boolean() })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 400, size: 'max' }), (changes) => {
        const table = new PageTable()
        const map = new Map<number, number>()
        for (const { page, place, isDelete } of changes) {
          if (isDelete) {
            table.delete(page)
            map.delete(page)
          } else {
            table.set(page, place)
            map.set(page, place)
          }
          expect(table.get(page)).toBe(map.get(page))
        }

        expect(table.size).toBe(map.size)
        expect([...table.sorted()]).toEqual([...map.keys()].sort((one, other) => one - other))
        for (const [page, place] of map) expect(table.get(page)).toBe(place)
      }),
    )
  })
})
