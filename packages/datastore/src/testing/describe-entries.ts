import { describe, expect, it } from 'vitest'
import { bytes, code, setUp, text, type OpenPlace } from './store-place.ts'

/** One key at a time: get, find, put, delete. */
export function describeEntries(open: OpenPlace): void {
  describe('an entry', () => {
    const here = setUp(open)

    it('is what was put, with the version that put returned', async () => {
      const version = await here.store.put('networks/a', bytes('one'))

      expect(version).toBeGreaterThan(0)
      expect(await here.store.get('networks/a')).toEqual({ key: 'networks/a', value: bytes('one'), version })
      expect(await here.store.find('networks/a')).toEqual({ key: 'networks/a', value: bytes('one'), version })
    })

    it('that is not there is not found', async () => {
      await here.store.put('networks/a', bytes('one'))

      expect(await here.store.find('networks')).toBeUndefined()
      expect(await here.store.find('networks/ab')).toBeUndefined()
      await expect(here.store.get('networks/b')).rejects.toThrow(code('ERR_KEY_NOT_FOUND', { kind: 'not-found' }))
    })

    it('may be empty, and hold every byte', async () => {
      const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      await here.store.put('empty', new Uint8Array())
      await here.store.put('all', all)

      expect((await here.store.get('empty')).value).toEqual(new Uint8Array())
      expect((await here.store.get('all')).value).toEqual(all)
    })

    it('is a copy of what was put, and a copy is handed out', async () => {
      const value = bytes('one')
      await here.store.put('a', value)
      value.fill(0)
      ;(await here.store.get('a')).value.fill(0)

      expect(text((await here.store.get('a')).value)).toBe('one')
    })

    it('holds the part of a buffer that was given', async () => {
      await here.store.put('a', Buffer.from('one two three').subarray(4, 7))

      expect(text((await here.store.get('a')).value)).toBe('two')
    })

    it('gets a higher version with each write, whichever key is written', async () => {
      const versions = [
        await here.store.put('a', bytes('1')),
        await here.store.put('b', bytes('1')),
        await here.store.put('a', bytes('2')),
        await here.store.put('a', bytes('2')),
      ]

      expect(versions).toEqual([...new Set(versions)].sort((one, other) => one - other))
      expect((await here.store.get('a')).version).toBe(versions[3])
    })

    it('does not get an old version back when it is deleted and put again', async () => {
      const version = await here.store.put('a', bytes('1'))
      await here.store.delete('a')

      expect(await here.store.put('a', bytes('1'))).toBeGreaterThan(version)
    })

    it('is gone when it is deleted, and delete says whether it was there', async () => {
      await here.store.put('a', bytes('1'))

      expect(await here.store.delete('a')).toBe(true)
      expect(await here.store.delete('a')).toBe(false)
      expect(await here.store.find('a')).toBeUndefined()
    })
  })

  describe('a write with a condition', () => {
    const here = setUp(open)

    it('takes place at the version it names', async () => {
      const version = await here.store.put('a', bytes('1'))
      const next = await here.store.put('a', bytes('2'), { ifVersion: version })

      expect(next).toBeGreaterThan(version)
      expect(await here.store.delete('a', { ifVersion: next })).toBe(true)
    })

    it('takes place with version 0 where there is no entry, even if there was one', async () => {
      await here.store.put('a', bytes('1'), { ifVersion: 0 })
      await here.store.delete('a')

      expect(await here.store.put('a', bytes('2'), { ifVersion: 0 })).toBeGreaterThan(0)
    })

    it('is refused at another version, with key, version expected and version found', async () => {
      const old = await here.store.put('a', bytes('1'))
      const now = await here.store.put('a', bytes('2'))
      const conflict = code('ERR_VERSION_CONFLICT', { kind: 'retry', key: 'a', expected: old, actual: now })

      await expect(here.store.put('a', bytes('3'), { ifVersion: old })).rejects.toThrow(conflict)
      await expect(here.store.delete('a', { ifVersion: old })).rejects.toThrow(conflict)
      expect(await here.store.get('a')).toMatchObject({ value: bytes('2'), version: now })
    })

    it('is refused with version 0 where there is an entry', async () => {
      const version = await here.store.put('a', bytes('1'))

      await expect(here.store.put('a', bytes('2'), { ifVersion: 0 })).rejects.toThrow(
        code('ERR_VERSION_CONFLICT', { key: 'a', expected: 0, actual: version }),
      )
    })

    it('is refused with a version where there is no entry', async () => {
      const version = await here.store.put('a', bytes('1'))
      await here.store.delete('a')
      const conflict = code('ERR_VERSION_CONFLICT', { key: 'a', expected: version, actual: 0 })

      await expect(here.store.put('a', bytes('2'), { ifVersion: version })).rejects.toThrow(conflict)
      await expect(here.store.delete('a', { ifVersion: version })).rejects.toThrow(conflict)
      expect(await here.store.find('a')).toBeUndefined()
    })

    it.each([-1, 0.5, Number.NaN, 2 ** 53])('is refused with the version %d, which no entry has', async (ifVersion) => {
      await expect(here.store.put('a', bytes('1'), { ifVersion })).rejects.toThrow(code('ERR_INVALID_STORE_OPTION'))
      await expect(here.store.delete('a', { ifVersion })).rejects.toThrow(code('ERR_INVALID_STORE_OPTION'))
    })
  })
}
