// Lets a child process of a test run the sources: `node --import ./typescript-child.mjs -C @net/source child.ts`.
import { register } from 'node:module'

register('./typescript-loader.mjs', import.meta.url)
