/** `npm run bench`: sets up what is missing and measures. */
import { join } from 'node:path'
import { become, ensureBuilt, ensureInstalled, root } from './ensure.mjs'

ensureInstalled()
ensureBuilt()
await become(process.execPath, ['--expose-gc', join(root, 'tools/bench/dist/main.js'), ...process.argv.slice(2)])
