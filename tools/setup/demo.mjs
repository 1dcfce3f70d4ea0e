/** `npm run demo`: sets up what is missing and shows the whole stack working. */
import { join } from 'node:path'
import { become, ensureBuilt, ensureInstalled, root } from './ensure.mjs'

ensureInstalled()
ensureBuilt('@net/demo')
await become(process.execPath, [join(root, 'apps/demo/dist/main.js'), ...process.argv.slice(2)])
