// Runs in a process of its own: reads all records of a data file that may be damaged, and writes them to standard
// output. LMDB trusts its pages, so that a damaged one can end the process, or make it walk in circles.
import { open } from 'lmdb'
import { once } from 'node:events'

const [file, ...names] = process.argv.slice(2)
const binary = { encoding: 'binary', keyEncoding: 'binary' }
const root = open({ path: file, noSubdir: true, readOnly: true, maxDbs: names.length, ...binary })

async function send(table, key, value) {
  const head = Buffer.alloc(7)
  head.writeUInt8(table)
  head.writeUInt16BE(key.length, 1)
  head.writeUInt32BE(value.length, 3)
  if (!process.stdout.write(Buffer.concat([head, key, value]))) await once(process.stdout, 'drain')
}

const tables = names.map((name) => root.openDB({ name, useVersions: name === 'state', ...binary }))
// After the last table is open: opening one ends the transactions there are.
const transaction = root.useReadTransaction()
for (const [number, table] of tables.entries())
  for (const { key, value } of table?.getRange({ transaction }) ?? []) await send(number, key, value)
await send(255, Buffer.alloc(0), Buffer.alloc(0))
// Closing would touch the file's lock again; leaving does not.
process.stdout.end(() => process.exit(0))
