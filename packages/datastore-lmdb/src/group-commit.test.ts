import { describe, expect, it } from 'vitest'
import { temporaryFolders } from '../test/temporary-folder.ts'
import { openLmdbStore } from './index.ts'
import { STATE_KEY } from './store-state.ts'
import { openTables } from './tables.ts'

const value = new Uint8Array([1])

describe('writes that come together', () => {
  const folder = temporaryFolders()

  /** How many commits there were while some work was done. */
  async function commitsOf(path: string, work: () => Promise<unknown>): Promise<number> {
    const { state, root } = openTables(`${path}/data.mdb`, false)
    const count = (): number => {
      root.resetReadTxn()
      return state.getEntry(STATE_KEY)?.version ?? 0
    }
    const before = count()
    await work()
    const after = count()
    await root.close()
    return after - before
  }

  it('share a commit, and are versions of their own', async () => {
    const path = await folder()
    await using store = await openLmdbStore({ path })
    const versions: number[] = []
    const commits = await commitsOf(path, async () => {
      const puts = Array.from({ length: 64 }, (_, number) => store.put(`a/${number}`, value))
      versions.push(...(await Promise.all(puts)))
    })

    expect(commits).toBe(1)
    expect(new Set(versions).size).toBe(64)
  })

  it('collect while a commit is under way', async () => {
    const path = await folder()
    await using store = await openLmdbStore({ path })
    const commits = await commitsOf(path, async () => {
      const first = store.put('a', value)
      await new Promise((resolve) => { setImmediate(resolve) }) // prettier-ignore
      await Promise.all([first, ...Array.from({ length: 50 }, (_, number) => store.put(`a/${number}`, value))])
    })

    expect(commits).toBe(2)
  })

  it('do not harm each other when one is refused', async () => {
    await using store = await openLmdbStore({ path: await folder() })
    const answers = await Promise.allSettled([
      store.put('a', value, { ifVersion: 7 }),
      store.put('a', value, { ifVersion: 0 }),
      store.put('a', value, { ifVersion: 0 }),
      store.put('b', value),
    ])

    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled'])
  })

  it('are not begun when they are given up while they wait', async () => {
    await using store = await openLmdbStore({ path: await folder() })
    const abort = new AbortController()
    const put = store.put('a', value, { signal: abort.signal })
    abort.abort(new Error('no time'))

    await expect(put).rejects.toThrow('no time')
    expect(await store.find('a')).toBeUndefined()
  })

  it('leave the event loop free', async () => {
    await using store = await openLmdbStore({ path: await folder() })
    let turns = 0
    const count = setInterval(() => turns++, 0)
    await Promise.all(Array.from({ length: 2000 }, (_, number) => store.put(`a/${number}`, value)))
    clearInterval(count)

    expect((await store.list('')).entries).toHaveLength(2000)
    // In one piece, it would be one.
    expect(turns).toBeGreaterThan(5)
  })
})
