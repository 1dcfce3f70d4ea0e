import { isNetError } from '@net/types'
import { writeSync } from 'node:fs'
import { openLmdbStore } from '../src/index.ts'

const [path = ''] = process.argv.slice(2)

/** What comes of it: an error's code, or the value of the key `a`. */
async function outcome(readOnly: boolean): Promise<string> {
  try {
    await using store = await openLmdbStore({ path, readOnly })
    return new TextDecoder().decode((await store.get('a')).value)
  } catch (error) {
    return isNetError(error) ? error.code : String(error)
  }
}

// Opens a store for writing, then for reading only, and reports what came of it.
writeSync(1, JSON.stringify({ toWrite: await outcome(false), toRead: await outcome(true) }))
