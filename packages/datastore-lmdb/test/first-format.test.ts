import { sealValue, type StoreEvent } from '@net/datastore'
import { Turns } from '@net/types'
import { rm } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { markClean } from '../src/clean-mark.ts'
import { storeFolder } from '../src/folder.ts'
import { openLmdbStore, restoreLmdbStore, type LmdbStore } from '../src/index.ts'
import { encodeChange, encodeEntry, logKey } from '../src/records.ts'
import { writeSnapshot } from '../src/snapshot.ts'
import { decodeState, FORMAT, STATE_KEY } from '../src/store-state.ts'
import { openTables } from '../src/tables.ts'
import { temporaryFolders } from './temporary-folder.ts'

const CHANGES = 5
const value = new Uint8Array([1])
const folder = temporaryFolders()

/** A store as version 1 of the format has it: each change is in the log, and the state is JSON. */
async function ofFirstFormat(isClosed: boolean): Promise<string> {
  const path = await folder()
  await (await openLmdbStore({ path })).close()
  const tables = openTables(storeFolder(path).data, false)
  let logBytes = 0
  await tables.root.batch(() => {
    for (let version = 1; version <= CHANGES; version++) {
      const event: StoreEvent = { type: 'put', key: `key/${version}`, value, version }
      const change = encodeChange([event])
      logBytes += change.length
      void tables.entries.put(Buffer.from(event.key), encodeEntry(event.key, { version, lease: undefined, value }))
      void tables.log.put(logKey(version), change)
    }
  })
  const state = { format: 1, revision: CHANGES, oldest: 0, logBytes, entries: CHANGES }
  await tables.state.put(STATE_KEY, sealValue('state', Buffer.from(JSON.stringify(state))), CHANGES)
  await writeSnapshot(storeFolder(path), tables, new Turns())
  await tables.root.close()
  if (isClosed) await markClean(storeFolder(path))
  return path
}

/** The keys of so many changes since the store began. */
async function changedKeys(store: LmdbStore, count: number): Promise<string[]> {
  const keys: string[] = []
  for await (const { events } of store.watch('', { from: 0 })) {
    keys.push(...events.map(({ key }) => key))
    if (keys.length >= count) break
  }
  return keys
}

const OLD = ['key/1', 'key/2', 'key/3', 'key/4', 'key/5']

describe('a store of format 1', () => {
  it.each([true, false])(
    'is read with its history, and goes on as one of today, be it closed (%s) or not',
    async (isClosed) => {
      const path = await ofFirstFormat(isClosed)
      {
        await using store = await openLmdbStore({ path })
        expect((await store.list('')).entries.map(({ key }) => key)).toEqual(OLD)
        expect(await changedKeys(store, CHANGES)).toEqual(OLD)
        expect(await store.put('new', value)).toBe(CHANGES + 1)
        expect(await changedKeys(store, CHANGES + 1)).toEqual([...OLD, 'new'])
      }
      await using again = await openLmdbStore({ path })

      expect(await changedKeys(again, CHANGES + 1)).toEqual([...OLD, 'new'])
      const tables = openTables(storeFolder(path).data, true)
      expect(decodeState(tables.state.get(STATE_KEY)!).format).toBe(FORMAT)
      await tables.root.close()
    },
  )

  it('is restored from its snapshot', async () => {
    const path = await ofFirstFormat(true)
    await rm(storeFolder(path).data)

    expect(await restoreLmdbStore({ path })).toMatchObject({ entries: CHANGES })
    await using store = await openLmdbStore({ path })
    expect((await store.list('')).entries.map(({ key }) => key)).toEqual(OLD)
  })
})
