import { describeStore } from '@net/datastore/testing'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { storeFolder } from './folder.ts'
import { openLmdbStore } from './index.ts'
import { encodeLease } from './records.ts'
import { decodeState, STATE_KEY } from './store-state.ts'
import { openTables, type Tables } from './tables.ts'

const HISTORY = 300

/** Does something to the data file of a store that is open, behind its back. */
async function behind(path: string, work: (tables: Tables) => Promise<unknown>): Promise<void> {
  const tables = openTables(storeFolder(path).data, false)
  await work(tables)
  await tables.root.close()
}

/** The record with one bit of its last byte turned. */
function spoilt(record: Uint8Array): Uint8Array {
  return record.map((byte, at) => (at === record.length - 1 ? byte ^ 1 : byte))
}

/** The change that was written last is at the end of the state's record, or else of the log. */
async function spoilLastChange({ state, log }: Tables): Promise<void> {
  const { value, version } = state.getEntry(STATE_KEY)!
  const last = [...log.getRange()].at(-1)
  if (decodeState(value).recent.length > 0) await state.put(STATE_KEY, spoilt(value), version!)
  else if (last !== undefined) await log.put(last.key, spoilt(last.value))
}

describeStore('in LMDB', {
  open: async () => {
    const path = await mkdtemp(join(tmpdir(), 'net-lmdb-'))
    const openAgain = () => openLmdbStore({ path, history: HISTORY })
    const store = await openAgain()
    return {
      store,
      openAgain,
      damage: (key) =>
        behind(path, async (tables) => {
          const { entries } = tables
          await entries.put(Buffer.from(key), spoilt(entries.get(Buffer.from(key))!))
          await spoilLastChange(tables)
        }),
      expireLease: (id) =>
        behind(path, ({ leases }) => leases.put(Buffer.from(id), encodeLease(id, { ttlMs: 1, expiresAt: 0 }))),
      forgetHistory: async () => {
        const writes = Array.from({ length: HISTORY + 1 }, (_, number) => store.put(`~${number}`, new Uint8Array(1)))
        await Promise.all(writes)
      },
      remove: () => rm(path, { recursive: true }),
    }
  },
})
