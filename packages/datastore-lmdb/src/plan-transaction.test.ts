import { describe, expect, it } from 'vitest'
import { temporaryFolders } from '../test/temporary-folder.ts'
import { Draft } from './draft.ts'
import { openLmdbStore } from './index.ts'
import { planLeaseEnd } from './plan-transaction.ts'
import { openTables } from './tables.ts'

/** More than one commit takes. */
const ENTRIES = 250

describe('the end of a lease', () => {
  const folder = temporaryFolders()

  it('is brought about by others where its process was killed half way', async () => {
    const path = await folder()
    await using store = await openLmdbStore({ path })
    const { id } = await store.lease(60_000)
    const put = (key: string): Promise<number> => store.put(key, new Uint8Array(1), { lease: id })
    await Promise.all(Array.from({ length: ENTRIES }, (_, number) => put(`bound/${number}`)))
    const changes = store.watch('bound/')
    const tables = openTables(`${path}/data.mdb`, false)
    const draft = new Draft(tables, { changes: 1000, bytes: 1e6 })

    expect(planLeaseEnd(draft, id)).toBe(false)
    expect(await draft.commit()).toBe(true)
    await tables.root.close()
    expect((await store.list('')).entries).toEqual([])
    await expect(put('bound/late')).rejects.toMatchObject({ code: 'ERR_NO_SUCH_LEASE' })
    let ended = 0
    for await (const { events } of changes) if ((ended += events.length) === ENTRIES) break
  })
})
