import { isNetError } from '@net/types'
import { writeSync } from 'node:fs'
import { openLmdbStore } from '../src/index.ts'

const [path = ''] = process.argv.slice(2)

// Writes until there is no room, and reports what the store says and holds then.
await using store = await openLmdbStore({ path })
let taken = 0
try {
  for (; taken < 1000; taken++)
    await store.put(`a/${String(taken).padStart(4, '0')}`, new Uint8Array(50_000).fill(taken))
} catch (error) {
  const { entries } = await store.list('a/')
  const report = {
    ...(isNetError(error) ? { code: error.code, kind: error.kind } : { error: String(error) }),
    taken,
    listed: entries.length,
    allRight: entries.every(({ value }, number) => value.every((byte) => byte === number % 256)),
  }
  writeSync(1, JSON.stringify(report))
}
