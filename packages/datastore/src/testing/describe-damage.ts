import { describe, expect, it } from 'vitest'
import { bytes, code, nextChange, reader, setUp, text, type OpenPlace } from './store-place.ts'

/** Values that the medium has spoilt. */
export function describeDamage(open: OpenPlace): void {
  describe('a damaged value', () => {
    const here = setUp(open)

    it('is named by get and list, and hides no other', async () => {
      for (const key of ['a/1', 'a/2', 'a/3']) await here.store.put(key, bytes(`value of ${key}`))
      await here.place.damage!('a/2')

      await expect(here.store.get('a/2')).rejects.toThrow(code('ERR_VALUE_DAMAGED', { kind: 'internal', key: 'a/2' }))
      await expect(here.store.find('a/2')).rejects.toThrow(code('ERR_VALUE_DAMAGED'))
      const { entries, damaged } = await here.store.list('a/')
      expect(entries.map(({ key }) => key)).toEqual(['a/1', 'a/3'])
      expect(damaged).toEqual(['a/2'])
      expect(text((await here.store.get('a/3')).value)).toBe('value of a/3')
    })

    it('is replaced by a put without a condition', async () => {
      await here.store.put('a', bytes('old'))
      await here.place.damage!('a')
      const version = await here.store.put('a', bytes('new'))

      expect(await here.store.get('a')).toEqual({ key: 'a', value: bytes('new'), version })
      expect((await here.store.list('')).damaged).toEqual([])
    })

    it('is removed by a delete without a condition', async () => {
      await here.store.put('a', bytes('old'))
      await here.place.damage!('a')

      expect(await here.store.delete('a')).toBe(true)
      expect(await here.store.find('a')).toBeUndefined()
    })

    it('that arrives is told to those who watch', async () => {
      const from = await here.store.put('a', bytes('old'))
      await here.store.put('b', bytes('old'))
      await here.place.damage!('b')

      // Where damage is a change of its own, the sound value comes before it.
      const changes = reader(here.store.watch('', { from }))
      let { events } = await nextChange(changes)
      if (events[0]?.type === 'put') events = (await nextChange(changes)).events
      expect(events).toEqual([{ type: 'damaged', key: 'b' }])
    })
  })
}
