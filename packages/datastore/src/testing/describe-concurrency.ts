import { isNetError } from '@net/types'
import { describe, expect, it } from 'vitest'
import type { Store } from '../store.ts'
import { bytes, nextEvents, reader, setUp, text, type Can, type OpenPlace } from './store-place.ts'

const WRITERS = 64

/** Raises the number under a key by one: reads, writes if nobody was faster, else begins anew. */
async function increment(store: Store, key: string): Promise<void> {
  for (;;) {
    const entry = await store.find(key)
    const value = bytes(String(Number(entry === undefined ? '0' : text(entry.value)) + 1))
    try {
      await store.put(key, value, { ifVersion: entry?.version ?? 0 })
      return
    } catch (error) {
      if (!isNetError(error, 'ERR_VERSION_CONFLICT')) throw error
    }
  }
}

async function numberAt(store: Store, key: string): Promise<number> {
  return Number(text((await store.get(key)).value))
}

/** Several at once, in one holder or two. */
export function describeConcurrency(open: OpenPlace, can: Can): void {
  describe('many writers', () => {
    const here = setUp(open)

    it('lose no increment of a number that they share', async () => {
      await Promise.all(Array.from({ length: WRITERS }, () => increment(here.store, 'sum')))

      expect(await numberAt(here.store, 'sum')).toBe(WRITERS)
    })

    it('create a key once', async () => {
      const attempts = Array.from({ length: WRITERS }, (_, number) =>
        here.store.put('a', bytes(String(number)), { ifVersion: 0 }),
      )
      const winners = (await Promise.allSettled(attempts)).filter(({ status }) => status === 'fulfilled')

      expect(winners).toHaveLength(1)
    })

    it('get a version each', async () => {
      const versions = await Promise.all(
        Array.from({ length: WRITERS }, (_, number) => here.store.put(`a/${number}`, bytes('1'))),
      )

      expect(new Set(versions).size).toBe(WRITERS)
    })
  })

  if (!can('openAgain')) return
  describe('two holders', () => {
    const here = setUp(open)

    it('see what the other one wrote, at once', async () => {
      const other = await here.again()
      for (let round = 0; round < 5; round++) {
        const version = await here.store.put('a', bytes(`here ${round}`))
        expect(await other.get('a')).toEqual({ key: 'a', value: bytes(`here ${round}`), version })
        await other.put('a', bytes(`there ${round}`), { ifVersion: version })
        expect(text((await here.store.list('')).entries[0]!.value)).toBe(`there ${round}`)
      }
    })

    it('lose no increment of a number that they share', async () => {
      const other = await here.again()
      const stores = Array.from({ length: WRITERS / 2 }, (_, number) => (number % 2 === 0 ? here.store : other))
      await Promise.all(stores.map((store) => increment(store, 'sum')))

      expect(await numberAt(here.store, 'sum')).toBe(stores.length)
    })

    it('watch what the other one does', async () => {
      const other = await here.again()
      const { revision: from } = await other.list('')
      const changes = reader(other.watch('a/', { from }))
      const first = nextEvents(changes)
      await here.store.put('a/1', bytes('1'))
      expect(await first).toEqual(['put a/1 = 1'])
      await here.store.delete('a/1')
      expect(await nextEvents(changes)).toEqual(['delete a/1'])
    })

    it('may bind entries to a lease of the other one', async () => {
      const other = await here.again()
      const lease = await here.store.lease(60_000)
      await other.put('a', bytes('1'), { lease: lease.id })
      await lease.release()

      expect(await other.find('a')).toBeUndefined()
    })
  })
}
