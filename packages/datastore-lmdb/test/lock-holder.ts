import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { openTables } from '../src/tables.ts'

const [path = ''] = process.argv.slice(2)

// Takes LMDB's lock for writing, and stays.
const { root, entries } = openTables(join(path, 'data.mdb'), false)
root.transactionSync(() => {
  entries.putSync(Buffer.from('half'), Buffer.from('done'))
  writeSync(1, 'locked\n')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
})
