import { describeStore } from '@net/datastore/testing'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { storeFolder } from './folder.ts'
import { openLmdbStore } from './index.ts'
import { encodeLease } from './records.ts'
import { openTables, type Table, type Tables } from './tables.ts'

const HISTORY = 300

/** Does something to the data file of a store that is open, behind its back. */
async function behind(path: string, work: (tables: Tables) => Promise<unknown>): Promise<void> {
  const tables = openTables(storeFolder(path).data, false)
  await work(tables)
  await tables.root.close()
}

async function spoil(table: Table, key: Buffer, record: Uint8Array): Promise<void> {
  const spoilt = Buffer.from(record)
  spoilt.writeUInt8(spoilt.readUInt8(spoilt.length - 1) ^ 1, spoilt.length - 1)
  await table.put(key, spoilt)
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
        behind(path, async ({ entries, log }) => {
          await spoil(entries, Buffer.from(key), entries.get(Buffer.from(key))!)
          for (const { key: revision, value } of [...log.getRange()].slice(-1)) await spoil(log, revision, value)
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
