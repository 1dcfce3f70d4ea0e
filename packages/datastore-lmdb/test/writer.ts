import type { Store } from '@net/datastore'
import { isNetError } from '@net/types'
import { writeSync } from 'node:fs'
import { openLmdbStore } from '../src/index.ts'

const [path = '', name = ''] = process.argv.slice(2)
const bytes = (value: number): Uint8Array => new TextEncoder().encode(String(value))

async function countAt(store: Store, key: string): Promise<{ count: number; version: number }> {
  const entry = await store.find(key)
  return {
    count: entry === undefined ? 0 : Number(new TextDecoder().decode(entry.value)),
    version: entry?.version ?? 0,
  }
}

/** Raises the common sum and its own count, and leaves a record of it: all three or none. */
async function write(store: Store): Promise<number> {
  const [sum, own] = await Promise.all([countAt(store, 'sum'), countAt(store, `count/${name}`)])
  await store.transaction([
    { type: 'put', key: 'sum', value: bytes(sum.count + 1), ifVersion: sum.version },
    { type: 'put', key: `count/${name}`, value: bytes(own.count + 1), ifVersion: own.version },
    { type: 'put', key: `record/${name}/${own.count + 1}`, value: bytes(Math.random()), ifVersion: 0 },
  ])
  return own.count + 1
}

const store = await openLmdbStore({ path })
for (;;) {
  try {
    writeSync(1, `${await write(store)}\n`)
  } catch (error) {
    if (!isNetError(error, 'ERR_VERSION_CONFLICT')) throw error
  }
}
