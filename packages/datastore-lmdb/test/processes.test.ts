import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { openLmdbStore, type LmdbStore } from '../src/index.ts'
import { children } from './child.ts'
import { temporaryFolders } from './temporary-folder.ts'

const text = (value: Uint8Array): string => new TextDecoder().decode(value)

async function numberAt(store: LmdbStore, key: string): Promise<number> {
  const entry = await store.find(key)
  return entry === undefined ? 0 : Number(text(entry.value))
}

/** To start eight processes takes its time where others do much. */
const unhurried = { timeout: 120_000 }

describe('several processes', () => {
  const folder = temporaryFolders()
  const start = children()

  it('lose nothing and invent nothing when they are killed in the middle of their writes', unhurried, async () => {
    const path = await folder()
    const names = ['a', 'b', 'c', 'd']
    const confirmed = new Map(names.map((name) => [name, 0]))
    for (let round = 0; round < 2; round++) {
      const writers = names.map((name) => ({ name, child: start('writer', [path, name]) }))
      await Promise.all(writers.map(({ child }) => child.line()))
      await setTimeout(150)
      await Promise.all(writers.map(({ child }) => child.kill()))
      for (const { name, child } of writers) confirmed.set(name, Math.max(0, ...child.lines.map(Number)))
    }

    await using store = await openLmdbStore({ path })
    let sum = 0
    for (const name of names) {
      const count = await numberAt(store, `count/${name}`)
      expect(count - confirmed.get(name)!).toBeOneOf([0, 1])
      expect((await store.list(`record/${name}/`)).entries).toHaveLength(count)
      sum += count
    }
    expect(await numberAt(store, 'sum')).toBe(sum)
    expect(sum).toBeGreaterThan(50)
  })

  it('are not held up by one that was killed while it held the lock', async () => {
    const path = await folder()
    await using store = await openLmdbStore({ path })
    const holder = start('lock-holder', [path])
    await holder.line()
    const put = store.put('a', new Uint8Array(1))
    await setTimeout(50)
    await holder.kill()

    expect(await put).toBeGreaterThan(0)
  })

  it('wake each other up', async () => {
    const path = await folder()
    await using store = await openLmdbStore({ path })
    const changes = store.watch('count/')[Symbol.asyncIterator]()
    const first = changes.next()
    const writer = start('writer', [path, 'a'])

    expect(await first).toMatchObject({ value: { events: [{ type: 'put', key: 'count/a' }] } })
    const before = performance.now()
    for (let change = 0; change < 20; change++) await changes.next()
    // A poll would need a second for each.
    expect(performance.now() - before).toBeLessThan(5000)
    await writer.kill()
  })

  it('end the lease of one that was killed, and never see what was bound to it from then on', async () => {
    const path = await folder()
    await using store = await openLmdbStore({ path })
    const changes = store.watch('bound')[Symbol.asyncIterator]()
    const holder = start('lease-holder', [path])
    await holder.line()
    expect(await changes.next()).toMatchObject({ value: { events: [{ type: 'put', key: 'bound' }] } })
    await holder.kill()

    expect(await changes.next()).toMatchObject({ value: { events: [{ type: 'delete', key: 'bound' }] } })
    expect(await store.find('bound')).toBeUndefined()
  })

  it('may open a folder at the same moment, one of them for the first time', async () => {
    const path = await folder()
    const stores = await Promise.all(Array.from({ length: 5 }, () => openLmdbStore({ path })))
    await Promise.all(stores.map((store, number) => store.put(`a/${number}`, new Uint8Array(1))))

    expect((await stores[0]!.list('')).entries).toHaveLength(5)
    await Promise.all(stores.map((store) => store.close()))
  })
})
