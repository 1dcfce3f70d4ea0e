import { describe, expect, it } from 'vitest'
import { openLmdbStore } from '../src/index.ts'
import { runOnReadOnlyDisk, runOnSmallDisk } from './child.ts'
import { temporaryFolders } from './temporary-folder.ts'

describe.skipIf(process.getuid?.() !== 0)('a store on a disk (needs root, to mount one)', () => {
  const folder = temporaryFolders()

  it('that is full refuses a write, and keeps all it had', async () => {
    const report = JSON.parse(await runOnSmallDisk('filler', await folder(), '4m')) as Record<string, unknown>

    expect(report).toMatchObject({ code: 'ERR_STORE_FULL', kind: 'no-service', allRight: true })
    expect(report.taken).toBeGreaterThan(5)
    expect(report.listed).toBe(report.taken)
  })

  it('that cannot be written says so, and can be opened to be read', async () => {
    const path = await folder()
    const store = await openLmdbStore({ path })
    await store.put('a', new TextEncoder().encode('kept'))
    await store.close()

    const report = JSON.parse(await runOnReadOnlyDisk('opener', path)) as Record<string, unknown>

    expect(report).toEqual({ toWrite: 'ERR_STORE_READ_ONLY', toRead: 'kept' })
  })
})
