import { describe, expect, it } from 'vitest'
import { bytes, code, firstChange, nextChange, nextEvents, reader, setUp, type OpenPlace } from './store-place.ts'

/** Watches: from when, of what, in which order, until when. */
export function describeWatches(open: OpenPlace): void {
  describe('a watch', () => {
    const here = setUp(open)

    it('reports what is changed from the moment of the call', async () => {
      await here.store.put('a/1', bytes('before'))
      const changes = reader(here.store.watch('a/'))
      await here.store.put('a/1', bytes('after'))
      await here.store.delete('a/1')

      expect(await nextEvents(changes)).toEqual(['put a/1 = after'])
      expect(await nextEvents(changes)).toEqual(['delete a/1'])
    })

    it('reports an entry with its version', async () => {
      const changes = reader(here.store.watch(''))
      const version = await here.store.put('a', bytes('1'))

      expect(await changes.next()).toEqual({
        done: false,
        value: { revision: version, events: [{ type: 'put', key: 'a', value: bytes('1'), version }] },
      })
    })

    it('waits for changes that are yet to come', async () => {
      const changes = reader(here.store.watch(''))
      const first = nextEvents(changes)
      await here.store.put('a', bytes('1'))
      expect(await first).toEqual(['put a = 1'])
      const second = nextEvents(changes)
      await here.store.put('b', bytes('2'))
      expect(await second).toEqual(['put b = 2'])
    })

    it('goes on from a listing without a gap and without repetition', async () => {
      await here.store.put('a/1', bytes('listed'))
      const { revision } = await here.store.list('a/')
      await here.store.put('a/2', bytes('next'))
      await here.store.put('a/1', bytes('last'))
      const changes = reader(here.store.watch('a/', { from: revision }))

      expect(await nextEvents(changes)).toEqual(['put a/2 = next'])
      expect(await nextEvents(changes)).toEqual(['put a/1 = last'])
    })

    it('goes on from the revision of a change', async () => {
      const { revision } = await here.store.list('')
      for (const key of ['a', 'b', 'c']) await here.store.put(key, bytes('1'))
      const first = await nextChange(reader(here.store.watch('', { from: revision })))

      expect(await nextEvents(reader(here.store.watch('', { from: first.revision })))).toEqual(['put b = 1'])
    })

    it('reports values as they were, though they have changed since', async () => {
      const { revision } = await here.store.list('')
      await here.store.put('a', bytes('1'))
      await here.store.put('a', bytes('2'))
      await here.store.delete('a')
      const changes = reader(here.store.watch('', { from: revision }))

      expect(await nextEvents(changes)).toEqual(['put a = 1'])
      expect(await nextEvents(changes)).toEqual(['put a = 2'])
      expect(await nextEvents(changes)).toEqual(['delete a'])
    })

    it('reports nothing that lies outside its prefix', async () => {
      const changes = reader(here.store.watch('a/'))
      await here.store.put('a', bytes('1'))
      await here.store.put('a0', bytes('1'))
      await here.store.put('b', bytes('1'))
      await here.store.transaction([
        { type: 'put', key: 'a/', value: bytes('2') },
        { type: 'put', key: 'b/', value: bytes('2') },
      ])

      expect(await nextEvents(changes)).toEqual(['put a/ = 2'])
    })

    it('reports nothing that was refused, or that changed nothing', async () => {
      const changes = reader(here.store.watch(''))
      await expect(here.store.put('a', bytes('1'), { ifVersion: 7 })).rejects.toThrow(code('ERR_VERSION_CONFLICT'))
      await here.store.delete('a')
      await here.store.transaction([{ type: 'check', key: 'a', ifVersion: 0 }])
      await here.store.put('b', bytes('1'))

      expect(await nextEvents(changes)).toEqual(['put b = 1'])
    })

    it('reports every change, in order, to each of several watchers', async () => {
      const watchers = Array.from({ length: 5 }, () => reader(here.store.watch('a/')))
      const keys = Array.from({ length: 30 }, (_, number) => `a/${number}`)
      for (const key of keys) await here.store.put(key, bytes('1'))

      for (const changes of watchers) {
        for (const key of keys) expect(await nextEvents(changes)).toEqual([`put ${key} = 1`])
      }
    })

    it('reports changes made at once with rising revisions', async () => {
      const changes = reader(here.store.watch(''))
      await Promise.all(Array.from({ length: 40 }, (_, number) => here.store.put(`a/${number}`, bytes('1'))))
      const seen = new Set<string>()
      let last = 0
      for (let change = 0; change < 40; change++) {
        const { revision, events } = await nextChange(changes)
        expect(revision).toBeGreaterThan(last)
        last = revision
        for (const { key } of events) seen.add(key)
      }

      expect(seen.size).toBe(40)
    })

    it('says that history is lost when it is to begin before what is remembered', async () => {
      const from = await here.store.put('a', bytes('1'))
      await here.store.put('a', bytes('2'))
      await here.place.forgetHistory()
      await here.store.put('a', bytes('3'))

      await expect(firstChange(() => here.store.watch('', { from }))).rejects.toThrow(
        code('ERR_HISTORY_LOST', { kind: 'retry', from }),
      )
    })

    it('goes on from a listing made after history was lost', async () => {
      await here.store.put('a', bytes('1'))
      await here.place.forgetHistory()
      const { revision } = await here.store.list('')
      await here.store.put('a', bytes('2'))

      expect(await nextEvents(reader(here.store.watch('', { from: revision })))).toEqual(['put a = 2'])
    })

    it.each([-1, 0.5, Number.NaN])('from the revision %d, which is none, is refused', async (from) => {
      await expect(firstChange(() => here.store.watch('', { from }))).rejects.toThrow(code('ERR_INVALID_STORE_OPTION'))
    })

    it('ends without an error when its signal fires, at once or while it waits', async () => {
      const abort = new AbortController()
      const changes = reader(here.store.watch('', { signal: abort.signal }))
      const waiting = changes.next()
      abort.abort()

      expect(await waiting).toMatchObject({ done: true })
      expect(await changes.next()).toMatchObject({ done: true })
      expect(await firstChange(() => here.store.watch('', { signal: AbortSignal.abort() }))).toMatchObject({
        done: true,
      })
    })

    it('ends when its reader stops, and leaves others alone', async () => {
      const other = reader(here.store.watch(''))
      const stopping = here.store.watch('')
      await here.store.put('a', bytes('1'))
      for await (const { events } of stopping) {
        expect(events).toHaveLength(1)
        break
      }

      await here.store.put('b', bytes('2'))
      expect(await nextEvents(other)).toEqual(['put a = 1'])
      expect(await nextEvents(other)).toEqual(['put b = 2'])
    })
  })
}
