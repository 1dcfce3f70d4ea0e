/** `npm run build`: sets up what is missing and builds every package. */
import { ensureBuilt, ensureInstalled } from './ensure.mjs'

ensureInstalled()
ensureBuilt()
