import { writeSync } from 'node:fs'
import { storeFolder } from '../src/folder.ts'
import { passGate } from '../src/gate.ts'
import { appear } from '../src/holders.ts'

const [path = ''] = process.argv.slice(2)

// Passes the gate of a store, and stays inside until it is killed.
const folder = storeFolder(path)
await passGate(folder, await appear(folder))
writeSync(1, 'inside\n')
setInterval(() => undefined, 1000)
