import { isNetError } from '@net/types'
import { writeSync } from 'node:fs'
import { openLmdbStore } from '../src/index.ts'

const [path = ''] = process.argv.slice(2)

// Reads what is there, and reports what it got.
await using store = await openLmdbStore({ path })
const got = await store.get('a').catch((error: unknown) => (isNetError(error) ? error.code : String(error)))
const { entries, damaged } = await store.list('')
const aside = await store.listDamaged()
writeSync(1, JSON.stringify({ got, listed: entries.map(({ key }) => key), damaged, aside: aside.length }))
