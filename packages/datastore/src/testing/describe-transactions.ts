import { describe, expect, it } from 'vitest'
import { bytes, code, inWords, nextChange, reader, setUp, text, type OpenPlace } from './store-place.ts'

/** Transactions: all or nothing. */
export function describeTransactions(open: OpenPlace): void {
  describe('a transaction', () => {
    const here = setUp(open)

    it('puts and deletes together, and its revision is the version of each entry put', async () => {
      await here.store.put('c', bytes('old'))
      const revision = await here.store.transaction([
        { type: 'put', key: 'a', value: bytes('1') },
        { type: 'put', key: 'b', value: bytes('2') },
        { type: 'delete', key: 'c' },
      ])

      const { entries } = await here.store.list('')
      expect(entries.map(({ key, value, version }) => [key, text(value), version])).toEqual([
        ['a', '1', revision],
        ['b', '2', revision],
      ])
    })

    it('raises the revision', async () => {
      const before = await here.store.put('a', bytes('1'))
      const put = await here.store.transaction([{ type: 'put', key: 'b', value: bytes('1') }])
      await here.store.transaction([{ type: 'delete', key: 'b' }])

      expect(put).toBeGreaterThan(before)
      expect((await here.store.list('')).revision).toBeGreaterThan(put)
    })

    it('does nothing when one condition fails, and names the first that does', async () => {
      const version = await here.store.put('b', bytes('old'))
      const attempt = here.store.transaction([
        { type: 'put', key: 'a', value: bytes('new') },
        { type: 'check', key: 'b', ifVersion: version },
        { type: 'delete', key: 'c', ifVersion: version },
        { type: 'put', key: 'd', value: bytes('new'), ifVersion: version },
        { type: 'delete', key: 'e' },
      ])

      await expect(attempt).rejects.toThrow(code('ERR_VERSION_CONFLICT', { key: 'c', expected: version, actual: 0 }))
      expect((await here.store.list('')).entries).toEqual([{ key: 'b', value: bytes('old'), version }])
    })

    it('checks keys that it does not write', async () => {
      const version = await here.store.put('a', bytes('1'))
      const ifNothingChanged = (): Promise<number> =>
        here.store.transaction([
          { type: 'check', key: 'a', ifVersion: version },
          { type: 'check', key: 'lock', ifVersion: 0 },
          { type: 'put', key: 'b', value: bytes('1') },
        ])
      await ifNothingChanged()
      expect((await here.store.get('a')).version).toBe(version)

      await here.store.put('a', bytes('2'))
      await expect(ifNothingChanged()).rejects.toThrow(code('ERR_VERSION_CONFLICT', { key: 'a' }))
    })

    it('may do nothing but check', async () => {
      const version = await here.store.put('a', bytes('1'))

      expect(await here.store.transaction([{ type: 'check', key: 'a', ifVersion: version }])).toBeGreaterThanOrEqual(
        version,
      )
    })

    it('may delete what is not there', async () => {
      await here.store.transaction([
        { type: 'delete', key: 'nothing' },
        { type: 'put', key: 'a', value: bytes('1') },
      ])

      expect(text((await here.store.get('a')).value)).toBe('1')
    })

    it('names each key once', async () => {
      const attempt = here.store.transaction([
        { type: 'put', key: 'a', value: bytes('1') },
        { type: 'check', key: 'a', ifVersion: 0 },
      ])

      await expect(attempt).rejects.toThrow(code('ERR_DUPLICATE_KEY', { kind: 'bad-request' }))
      expect(await here.store.find('a')).toBeUndefined()
    })

    it('does nothing when it names a lease that is none', async () => {
      const attempt = here.store.transaction([
        { type: 'put', key: 'a', value: bytes('1') },
        { type: 'put', key: 'b', value: bytes('1'), lease: '1234' },
      ])

      await expect(attempt).rejects.toThrow(code('ERR_NO_SUCH_LEASE'))
      expect((await here.store.list('')).entries).toEqual([])
    })

    it('is one change to those who watch', async () => {
      await here.store.put('c', bytes('old'))
      const changes = reader(here.store.watch(''))
      const revision = await here.store.transaction([
        { type: 'put', key: 'a', value: bytes('1') },
        { type: 'delete', key: 'c' },
        { type: 'put', key: 'b', value: bytes('2') },
      ])

      const change = await nextChange(changes)
      expect(change.revision).toBe(revision)
      expect(inWords(change)).toEqual(['delete c', 'put a = 1', 'put b = 2'])
    })
  })
}
