import { describe, expect, it } from 'vitest'
import type { Store } from '../store.ts'
import { bytes, code, setUp, text, type OpenPlace } from './store-place.ts'

/** In order of their bytes: note U+FFFD before U+1F600, which JavaScript orders the other way round. */
const ordered = ['A', 'a', 'a/', 'a/1', 'a/10', 'a/2', 'a0', 'b', 'é', 'ÿ', 'ÿz', '\uFFFD', '😀', '😀/1', '\u{10FFFF}', '\u{10FFFF}z'] // prettier-ignore

async function fill(store: Store, keys: readonly string[]): Promise<void> {
  for (const key of [...keys].reverse()) await store.put(key, bytes(`value of ${key}`))
}

async function keysOf(store: Store, ...request: Parameters<Store['list']>): Promise<string[]> {
  return (await store.list(...request)).entries.map(({ key }) => key)
}

/** Lists: prefixes, order, parts. */
export function describeLists(open: OpenPlace): void {
  describe('a list', () => {
    const here = setUp(open)

    it('of an empty store is empty', async () => {
      expect(await here.store.list('')).toMatchObject({ entries: [], damaged: [], more: false })
    })

    it('has all entries, in order of the bytes of their keys', async () => {
      await fill(here.store, ordered)

      const { entries, more } = await here.store.list('')

      expect(entries.map(({ key }) => key)).toEqual(ordered)
      expect(entries.map(({ value }) => text(value))).toEqual(ordered.map((key) => `value of ${key}`))
      expect(more).toBe(false)
    })

    it('has the same entries as get', async () => {
      await fill(here.store, ['a', 'b'])

      const { entries } = await here.store.list('')

      expect(entries).toEqual([await here.store.get('a'), await here.store.get('b')])
    })

    it.each([
      ['a/', ['a/', 'a/1', 'a/10', 'a/2']],
      ['a/1', ['a/1', 'a/10']],
      ['a', ['a', 'a/', 'a/1', 'a/10', 'a/2', 'a0']],
      ['ÿ', ['ÿ', 'ÿz']],
      ['😀', ['😀', '😀/1']],
      ['\u{10FFFF}', ['\u{10FFFF}', '\u{10FFFF}z']],
      ['c', []],
      ['a/1/', []],
    ])('of the prefix %j has what begins with it, a key that is the prefix included', async (prefix, expected) => {
      await fill(here.store, ordered)

      expect(await keysOf(here.store, prefix)).toEqual(expected)
    })

    it('begins behind a key, whether that key is there or not', async () => {
      await fill(here.store, ['a/1', 'a/2', 'a/3', 'b'])

      expect(await keysOf(here.store, 'a/', { after: 'a/1' })).toEqual(['a/2', 'a/3'])
      expect(await keysOf(here.store, 'a/', { after: 'a/15' })).toEqual(['a/2', 'a/3'])
      expect(await keysOf(here.store, 'a/', { after: '' })).toEqual(['a/1', 'a/2', 'a/3'])
      expect(await keysOf(here.store, 'a/', { after: 'A' })).toEqual(['a/1', 'a/2', 'a/3'])
      expect(await keysOf(here.store, 'a/', { after: 'a/3' })).toEqual([])
      expect(await keysOf(here.store, 'a/', { after: 'c' })).toEqual([])
    })

    it('says whether more follows', async () => {
      await fill(here.store, ['a/1', 'a/2', 'a/3', 'b'])

      expect(await here.store.list('a/', { limit: 2 })).toMatchObject({ more: true })
      expect(await here.store.list('a/', { limit: 3 })).toMatchObject({ more: false })
      expect(await here.store.list('a/', { limit: 4 })).toMatchObject({ more: false })
      expect(await here.store.list('a/', { limit: 1, after: 'a/2' })).toMatchObject({ more: false })
    })

    it('comes complete in parts, each of which goes on behind the last', async () => {
      await fill(here.store, ordered)
      const seen: string[] = []
      let after = ''
      for (let more = true; more;) {
        const part = await here.store.list('', { after, limit: 3 })
        seen.push(...part.entries.map(({ key }) => key))
        expect(part.entries.length).toBeLessThanOrEqual(3)
        after = seen.at(-1) ?? ''
        more = part.more
      }

      expect(seen).toEqual(ordered)
    })

    it('has the revision of the moment: at least that of every entry, and higher after a write', async () => {
      await fill(here.store, ['a', 'b'])
      const before = await here.store.list('')
      await here.store.put('c', bytes('1'))
      const after = await here.store.list('nothing')

      for (const { version } of before.entries) expect(before.revision).toBeGreaterThanOrEqual(version)
      expect(after.revision).toBeGreaterThan(before.revision)
    })

    it('leaves out what was deleted', async () => {
      await fill(here.store, ['a', 'b'])
      await here.store.delete('a')

      expect(await keysOf(here.store, '')).toEqual(['b'])
    })

    it.each([0, -1, 1.5, Number.NaN, Infinity])('with the limit %d is refused', async (limit) => {
      await expect(here.store.list('', { limit })).rejects.toThrow(code('ERR_INVALID_STORE_OPTION'))
    })
  })
}
