import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ChangeGroups, type RawChange } from './change-groups.ts'
import type { RawEvent } from './watch-reply.ts'

const event = (version: number, key: number): RawEvent => ({
  type: 'put',
  key: Buffer.from(String(key)),
  value: new Uint8Array(),
  version,
})

it('puts every transaction together, however its events are cut into messages', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 8 })
  const cuts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 })
  fc.assert(
    fc.property(sizes, cuts, (transactions, messages) => {
      const changes = transactions.map((size, index): RawChange => {
        const revision = 10 + 2 * index
        return { revision, events: Array.from({ length: size }, (_, key) => event(revision, key)) }
      })
      const groups = new ChangeGroups()
      const events = changes.flatMap((change) => change.events)
      const seen: RawChange[] = []
      for (let at = 0, index = 0; at < events.length; index++) {
        const size = messages[index % messages.length]!
        seen.push(...groups.add(events.slice(at, at + size), at + size < events.length))
        at += size
      }

      expect(seen).toEqual(changes)
    }),
  )
})

it('holds a transaction back until it is complete', () => {
  const groups = new ChangeGroups()

  expect(groups.add([event(5, 1)], true)).toEqual([])
  expect(groups.add([event(5, 2), event(6, 1)], true)).toEqual([{ revision: 5, events: [event(5, 1), event(5, 2)] }])
  expect(groups.add([], false)).toEqual([{ revision: 6, events: [event(6, 1)] }])
})

it('refuses revisions that fall, and a transaction that does not end', () => {
  const large = { ...event(5, 1), value: new Uint8Array(33 * 1024 * 1024) }

  expect(() => new ChangeGroups().add([event(6, 1), event(5, 1)], false)).toThrow('changes whose revisions fall')
  expect(() => new ChangeGroups().add([large, large], true)).toThrow('a transaction that does not end')
})
