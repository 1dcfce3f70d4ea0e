import { symlink, readdir } from 'node:fs/promises'
import { readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openLmdbStore } from '../src/index.ts'
import { ownName } from '../src/holders.ts'
import { runInPidNamespace } from './child.ts'
import { temporaryFolders } from './temporary-folder.ts'

const isFirstNamespace = readlinkSync('/proc/self/ns/pid') === 'pid:[4026531836]'

/** The name that a process of a PID namespace has which nobody is in any more. */
function nameOfTheGone(): string {
  const [pid, birth, boot, , id] = ownName().split('.')
  return [pid, birth, boot, '1', id].join('.')
}

describe.skipIf(process.getuid?.() !== 0)('a store and a process of another PID namespace (needs root)', () => {
  const folder = temporaryFolders()

  it('that has it open keeps others out, and nothing is lost', async () => {
    const path = await folder()
    await using store = await openLmdbStore({ path })
    await store.put('a', new TextEncoder().encode('kept'))
    const { ino } = statSync(join(path, 'data.mdb'))

    const report = JSON.parse(await runInPidNamespace('opener', path)) as Record<string, unknown>

    expect(report).toEqual({ toWrite: 'ERR_STORE_IN_USE', toRead: 'ERR_STORE_IN_USE' })
    expect(statSync(join(path, 'data.mdb')).ino).toBe(ino)
    await store.put('b', new Uint8Array(1))
    expect((await store.list('')).entries.map(({ key }) => key)).toEqual(['a', 'b'])
  })

  it('that has closed it finds it as it was left, and the other way round', async () => {
    const path = await folder()
    await using store = await openLmdbStore({ path })
    await store.put('a', new TextEncoder().encode('kept'))
    await store.close()

    expect(JSON.parse(await runInPidNamespace('opener', path))).toEqual({ toWrite: 'kept', toRead: 'kept' })
    await using again = await openLmdbStore({ path })
    expect((await again.list('')).entries).toHaveLength(1)
  })

  it.runIf(isFirstNamespace)(
    'that is gone with its namespace is known to be, where all processes are seen',
    async () => {
      const path = await folder()
      await (await openLmdbStore({ path })).close()
      await symlink(nameOfTheGone(), join(path, 'gate'))
      await using _store = await openLmdbStore({ path })

      expect(await readdir(path)).not.toContain('gate')
    },
  )

  it.skipIf(isFirstNamespace)('that does not leave is waited for so long and no longer, and named', async () => {
    const path = await folder()
    await (await openLmdbStore({ path })).close()
    await symlink(nameOfTheGone(), join(path, 'gate'))

    await expect(openLmdbStore({ path })).rejects.toMatchObject({
      code: 'ERR_STORE_IN_USE',
      message: expect.stringContaining(`of another PID namespace`) as string,
    })
  })
})
