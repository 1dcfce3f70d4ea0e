import { describe, expect, it } from 'vitest'
import type { Store } from '../store.ts'
import { bytes, code, firstChange, nextEvents, reader, setUp, text, type Can, type OpenPlace } from './store-place.ts'

/** Everything that can be asked of a store. */
const calls: [string, (store: Store, signal?: AbortSignal) => Promise<unknown>][] = [
  ['get', (store, signal) => store.get('a', { signal })],
  ['find', (store, signal) => store.find('a', { signal })],
  ['list', (store, signal) => store.list('', { signal })],
  ['put', (store, signal) => store.put('new', bytes('1'), { signal })],
  ['delete', (store, signal) => store.delete('a', { signal })],
  ['transaction', (store, signal) => store.transaction([{ type: 'delete', key: 'a' }], { signal })],
  ['lease', (store, signal) => store.lease(60_000, { signal })],
]

/** Giving up, closing, opening again. */
export function describeLifetime(open: OpenPlace, can: Can): void {
  describe('a call that is given up', () => {
    const here = setUp(open)

    it.each(calls)('rejects with the reason and changes nothing: %s', async (_name, call) => {
      await here.store.put('a', bytes('1'))
      const signal = AbortSignal.abort(new Error('no time'))

      await expect(call(here.store, signal)).rejects.toThrow('no time')
      expect((await here.store.list('')).entries.map(({ key }) => key)).toEqual(['a'])
    })

    it.each(calls)('while it is under way ends with the reason or as it would have: %s', async (_name, call) => {
      await here.store.put('a', bytes('1'))
      const abort = new AbortController()
      const reason = new Error('no time')
      const answer = call(here.store, abort.signal).catch((error: unknown) => error)
      abort.abort(reason)

      const outcome = await answer
      if (outcome instanceof Error) expect(outcome).toBe(reason)
    })
  })

  describe('a closed store', () => {
    const here = setUp(open)

    it.each(calls)('refuses: %s', async (_name, call) => {
      await here.store.close()

      await expect(call(here.store)).rejects.toThrow(code('ERR_STORE_CLOSED', { kind: 'forbidden' }))
    })

    it('refuses to be watched', async () => {
      await here.store.close()

      await expect(firstChange(() => here.store.watch(''))).rejects.toThrow(code('ERR_STORE_CLOSED'))
    })

    it('ends its watches, those that wait and those that do not', async () => {
      const waiting = reader(here.store.watch('')).next()
      const idle = reader(here.store.watch(''))
      const closed = expect(waiting).rejects.toThrow(code('ERR_STORE_CLOSED'))
      await here.store.close()

      await closed
      await expect(idle.next()).rejects.toThrow(code('ERR_STORE_CLOSED'))
    })

    it('has carried out the calls that were under way, or told them', async () => {
      const writes = Array.from({ length: 20 }, (_, number) => here.store.put(`a/${number}`, bytes('1')))
      const answers = Promise.allSettled([...writes, here.store.list('')])
      await here.store.close()

      for (const answer of await answers) {
        if (answer.status === 'rejected') expect(answer.reason).toEqual(code('ERR_STORE_CLOSED'))
      }
    })

    it('may be closed again', async () => {
      await Promise.all([here.store.close(), here.store.close()])
      await here.store.close()
    })

    it('is what a block leaves behind that held it with `await using`', async () => {
      await here.store[Symbol.asyncDispose]()

      await expect(here.store.get('a')).rejects.toThrow(code('ERR_STORE_CLOSED'))
    })
  })

  if (!can('openAgain')) return
  describe('a store that is opened again', () => {
    const here = setUp(open)

    it('has what was written, at the versions that were given', async () => {
      const version = await here.store.put('a', bytes('1'))
      await here.store.put('b', bytes('2'))
      await here.store.delete('b')
      await here.store.close()

      const { entries } = await (await here.again()).list('')
      expect(entries).toEqual([{ key: 'a', value: bytes('1'), version }])
    })

    it('counts its revision on, though the latest entry is gone', async () => {
      const version = await here.store.put('a', bytes('1'))
      await here.store.delete('a')
      const { revision } = await here.store.list('')
      await here.store.close()

      const store = await here.again()
      expect((await store.list('')).revision).toBeGreaterThanOrEqual(revision)
      const next = await store.put('a', bytes('2'))
      expect(next).toBeGreaterThan(revision)
      expect(revision).toBeGreaterThan(version)
    })

    it('still knows what changed before', async () => {
      const from = await here.store.put('a', bytes('1'))
      await here.store.put('a', bytes('2'))
      await here.store.close()

      const store = await here.again()
      expect(await nextEvents(reader(store.watch('', { from })))).toEqual(['put a = 2'])
    })

    it('has all of a transaction', async () => {
      await here.store.transaction([
        { type: 'put', key: 'a', value: bytes('1') },
        { type: 'put', key: 'b', value: bytes('2') },
      ])
      await here.store.close()

      const { entries } = await (await here.again()).list('')
      expect(entries.map(({ value }) => text(value))).toEqual(['1', '2'])
    })
  })
}
