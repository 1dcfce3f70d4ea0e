import { describe, expect, it } from 'vitest'
import { LIMITS, type StoreOperation } from '../store.ts'
import { bytes, code, firstChange, setUp, type OpenPlace } from './store-place.ts'

/** Keys that look like something else to one medium or another. */
const hostile = ['/', '//', '..', '../../etc/passwd', ' ', 'a b', '\n', '\u0001', '\x7f', '%00', '$(reboot)', '"', '\\', '*', 'a/../b', 'prefix\u{10FFFF}', 'e\u0301', '\u00e9', '\ufeff', '__proto__', 'constructor'] // prettier-ignore

/** Keys that no store takes. */
const refused: [string, string][] = [
  ['empty', ''],
  ['with a NUL', 'a\0b'],
  ['with half a surrogate pair', 'a\ud800'],
  ['with the other half', '\udc00a'],
  ['of 501 bytes', 'a'.repeat(501)],
  ['of 501 bytes in fewer characters', `${'é'.repeat(250)}a`],
]

const put = (key: string): StoreOperation => ({ type: 'put', key, value: bytes(key) })

/** What every store takes, and what none does. */
export function describeLimits(open: OpenPlace): void {
  describe('within the limits', () => {
    const here = setUp(open)

    it('hostile keys are keys like others', async () => {
      for (const key of hostile) await here.store.put(key, bytes(`value of ${key}`))

      for (const key of hostile) expect((await here.store.get(key)).value).toEqual(bytes(`value of ${key}`))
      expect((await here.store.list('')).entries).toHaveLength(hostile.length)
      for (const key of hostile) expect(await here.store.delete(key)).toBe(true)
      expect((await here.store.list('')).entries).toEqual([])
    })

    it('keys of 500 bytes are taken', async () => {
      const keys = ['a'.repeat(LIMITS.keyBytes), 'é'.repeat(LIMITS.keyBytes / 2), '😀'.repeat(LIMITS.keyBytes / 4)]
      for (const key of keys) await here.store.put(key, bytes('1'))

      for (const key of keys) expect(await here.store.get(key)).toMatchObject({ key })
      expect((await here.store.list('')).entries.map(({ key }) => key)).toEqual(keys)
      expect((await here.store.list(keys[0]!)).entries).toHaveLength(1)
    })

    it('values of 512 KiB are taken', async () => {
      const value = new Uint8Array(LIMITS.valueBytes).fill(7)
      await here.store.put('a', value)

      expect(Buffer.compare((await here.store.get('a')).value, value)).toBe(0)
    })

    it('transactions of 100 operations are carried out', async () => {
      const keys = Array.from({ length: LIMITS.operations }, (_, number) => `a/${String(number).padStart(3, '0')}`)
      await here.store.transaction(keys.map(put))

      expect((await here.store.list('a/')).entries.map(({ key }) => key)).toEqual(keys)
    })
  })

  describe('beyond the limits', () => {
    const here = setUp(open)

    it('a transaction of more than 1 MiB of values is refused', async () => {
      const value = new Uint8Array(LIMITS.transactionBytes / 2)
      const operations = [...['a', 'b'].map((key) => ({ type: 'put', key, value }) as const), put('c')]

      await expect(here.store.transaction(operations)).rejects.toThrow(
        code('ERR_TRANSACTION_TOO_LARGE', { kind: 'bad-request' }),
      )
      expect(await here.store.find('a')).toBeUndefined()
      expect(await here.store.transaction(operations.slice(0, 2))).toBeGreaterThan(0)
    })

    it.each(refused)('a key is refused: %s', async (_what, key) => {
      const invalid = code('ERR_INVALID_KEY', { kind: 'bad-request' })

      await expect(here.store.get(key)).rejects.toThrow(invalid)
      await expect(here.store.find(key)).rejects.toThrow(invalid)
      await expect(here.store.put(key, bytes('1'))).rejects.toThrow(invalid)
      await expect(here.store.delete(key)).rejects.toThrow(invalid)
      await expect(here.store.transaction([put('a'), put(key)])).rejects.toThrow(invalid)
      expect(await here.store.find('a')).toBeUndefined()
    })

    it.each(refused.slice(1))('a prefix is refused: %s', async (_what, prefix) => {
      await expect(here.store.list(prefix)).rejects.toThrow(code('ERR_INVALID_KEY'))
      await expect(firstChange(() => here.store.watch(prefix))).rejects.toThrow(code('ERR_INVALID_KEY'))
    })

    it('a value is refused', async () => {
      const value = new Uint8Array(LIMITS.valueBytes + 1)

      await expect(here.store.put('a', value)).rejects.toThrow(code('ERR_VALUE_TOO_LARGE', { kind: 'bad-request' }))
      await expect(here.store.put('a', 'text' as unknown as Uint8Array)).rejects.toThrow(
        code('ERR_INVALID_STORE_OPTION'),
      )
      expect(await here.store.find('a')).toBeUndefined()
    })

    it('a transaction is refused', async () => {
      const operations = Array.from({ length: LIMITS.operations + 1 }, (_, number) => put(`a/${number}`))

      await expect(here.store.transaction(operations)).rejects.toThrow(code('ERR_TOO_MANY_OPERATIONS'))
      await expect(here.store.transaction([])).rejects.toThrow(code('ERR_TOO_MANY_OPERATIONS'))
      expect((await here.store.list('')).entries).toEqual([])
    })

    it.each([999, 3_600_001, 1500.5, Number.NaN])('a lease of %d ms is refused', async (ttlMs) => {
      await expect(here.store.lease(ttlMs)).rejects.toThrow(code('ERR_INVALID_STORE_OPTION'))
    })
  })
}
