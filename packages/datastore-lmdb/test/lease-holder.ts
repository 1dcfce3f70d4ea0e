import { writeSync } from 'node:fs'
import { openLmdbStore } from '../src/index.ts'

const [path = ''] = process.argv.slice(2)

const store = await openLmdbStore({ path })
const lease = await store.lease(1000)
await store.put('bound', new Uint8Array(1), { lease: lease.id })
writeSync(1, 'bound\n')
setInterval(() => undefined, 1000)
