import { writeSync } from 'node:fs'
import { openLmdbStore } from '../src/index.ts'

const [path = ''] = process.argv.slice(2)

// Opens a store, writes the key `a`, and stays until it is killed.
const store = await openLmdbStore({ path })
await store.put('a', new TextEncoder().encode('kept'))
writeSync(1, 'open\n')
setInterval(() => undefined, 1000)
