import { describe, expect, it } from 'vitest'
import { raceLeases } from './lease-race.ts'
import { bytes, code, fired, nextEvents, reader, setUp, text, type Can, type OpenPlace } from './store-place.ts'

/** Long enough for a slow medium, short enough to see renewals. */
const TTL_MS = 1500

const wait = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms) }) // prettier-ignore

/** Leases: entries that go with their holder. */
export function describeLeases(open: OpenPlace, can: Can): void {
  describe('a lease', () => {
    const here = setUp(open)

    it('has an id of its own and the time it was asked for, and is not lost', async () => {
      const [one, other] = await Promise.all([here.store.lease(60_000), here.store.lease(60_000)])

      expect(one.id).not.toBe(other.id)
      expect(one.ttlMs).toBe(60_000)
      expect(one.lost.aborted).toBe(false)
    })

    it('takes the entries bound to it along when it is released, and no others', async () => {
      const lease = await here.store.lease(60_000)
      await here.store.put('bound/1', bytes('1'), { lease: lease.id })
      await here.store.transaction([{ type: 'put', key: 'bound/2', value: bytes('2'), lease: lease.id }])
      await here.store.put('free', bytes('3'))
      expect((await here.store.list('')).entries).toHaveLength(3)
      await lease.release()

      expect((await here.store.list('')).entries.map(({ key }) => key)).toEqual(['free'])
    })

    it('is over after its release, which may be asked for twice', async () => {
      const lease = await here.store.lease(60_000)
      await lease.release()
      await lease.release()

      await expect(here.store.put('a', bytes('1'), { lease: lease.id })).rejects.toThrow(
        code('ERR_NO_SUCH_LEASE', { kind: 'not-found' }),
      )
      expect(await here.store.find('a')).toBeUndefined()
    })

    it('leaves an entry alone that was put again without it, or with another one', async () => {
      const [one, other] = await Promise.all([here.store.lease(60_000), here.store.lease(60_000)])
      for (const key of ['a', 'b', 'c']) await here.store.put(key, bytes('1'), { lease: one.id })
      await here.store.put('b', bytes('2'))
      await here.store.put('c', bytes('2'), { lease: other.id })
      await one.release()

      expect((await here.store.list('')).entries.map(({ key }) => key)).toEqual(['b', 'c'])
    })

    it('does not touch an entry that was deleted and put by somebody else', async () => {
      const lease = await here.store.lease(60_000)
      await here.store.put('a', bytes('mine'), { lease: lease.id })
      await here.store.delete('a')
      await here.store.put('a', bytes('yours'))
      await lease.release()

      expect(text((await here.store.get('a')).value)).toBe('yours')
    })

    it('tells those who watch what goes with it', async () => {
      const lease = await here.store.lease(60_000)
      await here.store.put('a', bytes('1'), { lease: lease.id })
      const changes = reader(here.store.watch(''))
      await lease.release()

      expect(await nextEvents(changes)).toEqual(['delete a'])
    })

    it('is renewed for as long as its holder lives', async () => {
      const lease = await here.store.lease(TTL_MS)
      await here.store.put('a', bytes('1'), { lease: lease.id })
      await wait(2.2 * TTL_MS)

      expect(lease.lost.aborted).toBe(false)
      expect(await here.store.find('a')).toBeDefined()
    })

    if (can('expireLease'))
      it('is lost to a holder that stood still for too long, with what was bound to it', async () => {
        const lease = await here.store.lease(TTL_MS)
        await here.store.put('a', bytes('1'), { lease: lease.id })
        await here.place.expireLease!(lease.id)
        await fired(lease.lost)

        expect(await here.store.find('a')).toBeUndefined()
        await expect(here.store.put('a', bytes('1'), { lease: lease.id })).rejects.toThrow(code('ERR_NO_SUCH_LEASE'))
        await lease.release()
      })

    if (can('openAgain'))
      it('ends when the store that took it is closed', async () => {
        const holder = await here.again()
        const lease = await holder.lease(60_000)
        const from = await holder.put('a', bytes('1'), { lease: lease.id })
        const changes = reader(here.store.watch('', { from }))
        await holder.close()

        expect(await nextEvents(changes)).toEqual(['delete a'])
        expect(await here.store.find('a')).toBeUndefined()
      })

    it('takes along what is put while it ends', async () => {
      for (let round = 0; round < 20; round++) {
        const steps = [
          { type: 'put', key: 1, lease: 1, isLater: false },
          { type: 'release', key: 0, lease: 1, isLater: round % 2 === 1 },
          { type: 'put', key: 2, lease: 1, isLater: false },
        ] as const
        await raceLeases(here.store, steps)
        await here.store.delete('last')
      }
    })

    if (can('openAgain'))
      it('takes along what is put while the store closes', async () => {
        const { revision: from } = await here.store.list('')
        const holder = await here.again()
        const lease = await holder.lease(60_000)
        const put = holder.put('a', bytes('1'), { lease: lease.id }).catch(() => 0)
        await holder.close()
        if ((await put) === 0) return

        const changes = reader(here.store.watch('a', { from }))
        expect(await nextEvents(changes)).toEqual(['put a = 1'])
        expect(await nextEvents(changes)).toEqual(['delete a'])
      })

    if (can('openAgain'))
      it('asked for while the store closes is refused, or ends with it', async () => {
        const holder = await here.again()
        const asked = holder.lease(60_000).catch(() => undefined)
        await holder.close()

        const lease = await asked
        if (lease === undefined) return
        await expect(here.store.put('a', bytes('1'), { lease: lease.id })).rejects.toThrow(code('ERR_NO_SUCH_LEASE'))
      })
  })
}
