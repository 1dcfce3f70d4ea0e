import { statSync } from 'node:fs'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openLmdbStore, restoreLmdbStore } from '../src/index.ts'
import { ownName } from '../src/holders.ts'
import { children, childrenInPidNamespaces, runInPidNamespace } from './child.ts'
import { temporaryFolders } from './temporary-folder.ts'

const text = (value: Uint8Array): string => new TextDecoder().decode(value)

/** A name of a process of another PID namespace that has no socket. */
function nameWithoutSocket(): string {
  const [pid, birth, boot, , id] = ownName().split('.')
  return [pid, birth, boot, '1', id].join('.')
}

describe.skipIf(process.getuid?.() !== 0)('a store and a process of another PID namespace (needs root)', () => {
  const folder = temporaryFolders()
  const startOutside = children()
  const startInside = childrenInPidNamespaces()

  /** What comes of opening a store in a PID namespace of its own, for writing and for reading. */
  async function openInside(path: string): Promise<unknown> {
    return JSON.parse(await runInPidNamespace('opener', path))
  }

  it('that has it open keeps others out, and nothing is lost', async () => {
    const path = await folder()
    await using store = await openLmdbStore({ path })
    await store.put('a', new TextEncoder().encode('kept'))
    const { ino } = statSync(join(path, 'data.mdb'))

    expect(await openInside(path)).toEqual({ toWrite: 'ERR_STORE_IN_USE', toRead: 'ERR_STORE_IN_USE' })
    expect(statSync(join(path, 'data.mdb')).ino).toBe(ino)
    await store.put('b', new Uint8Array(1))
    expect((await store.list('')).entries.map(({ key }) => key)).toEqual(['a', 'b'])
  })

  it('that has closed it finds it as it was left, and the other way round', async () => {
    const path = await folder()
    await using store = await openLmdbStore({ path })
    await store.put('a', new TextEncoder().encode('kept'))
    await store.close()

    expect(await openInside(path)).toEqual({ toWrite: 'kept', toRead: 'kept' })
    await using again = await openLmdbStore({ path })
    expect((await again.list('')).entries).toHaveLength(1)
  })

  it('that has it open inside keeps those outside out, and nothing is lost', async () => {
    const path = await folder()
    const holder = startInside('holder', [path])
    await holder.line()
    const { ino } = statSync(join(path, 'data.mdb'))

    for (const readOnly of [false, true])
      await expect(openLmdbStore({ path, readOnly })).rejects.toMatchObject({
        code: 'ERR_STORE_IN_USE',
        message: expect.stringContaining('of another PID namespace') as string,
      })
    await expect(restoreLmdbStore({ path })).rejects.toMatchObject({ code: 'ERR_STORE_IN_USE' })
    expect(statSync(join(path, 'data.mdb')).ino).toBe(ino)
  })

  it('that was killed inside while it wrote is known to be dead: the file is read through, nothing is lost', async () => {
    const path = await folder()
    const writer = startInside('writer', [path, 'a'])
    while (writer.lines.length < 20) await writer.line()
    await writer.kill()
    const { ino } = statSync(join(path, 'data.mdb'))
    const confirmed = Math.max(...writer.lines.map(Number))

    await using reader = await openLmdbStore({ path, readOnly: true })
    expect((await reader.list('record/')).entries.length).toBeGreaterThanOrEqual(confirmed)
    await reader.close()
    await using store = await openLmdbStore({ path })
    expect(statSync(join(path, 'data.mdb')).ino).not.toBe(ino)
    const count = Number(text((await store.get('sum')).value))
    expect(count - confirmed).toBeOneOf([0, 1])
    expect((await store.list('record/')).entries).toHaveLength(count)
    await store.close()
    expect(await left(path)).toEqual([])
  })

  it('that was killed outside while it had the store open is known to be dead inside', async () => {
    const path = await folder()
    const holder = startOutside('holder', [path])
    await holder.line()
    await holder.kill()
    const { ino } = statSync(join(path, 'data.mdb'))

    expect(await openInside(path)).toEqual({ toWrite: 'kept', toRead: 'kept' })
    expect(statSync(join(path, 'data.mdb')).ino).not.toBe(ino)
    expect(await left(path)).toEqual([])
  })

  it('that was killed and started again, as a container is, finds its store', async () => {
    const path = await folder()
    for (let start = 0; start < 2; start++) {
      const holder = startInside('holder', [path])
      expect(await holder.line()).toBe('open')
      await holder.kill()
    }
    expect(await openInside(path)).toEqual({ toWrite: 'kept', toRead: 'kept' })
    expect(await left(path)).toEqual([])
  })

  it('that was killed inside at the gate keeps nobody out', async () => {
    const path = await folder()
    const holder = startInside('gate-holder', [path])
    await holder.line()
    await holder.kill()
    expect(await left(path)).toHaveLength(2)

    await (await openLmdbStore({ path })).close()
    expect(await left(path)).toEqual([])
  })

  it('that was killed outside at the gate keeps nobody inside out', async () => {
    const path = await folder()
    await using store = await openLmdbStore({ path })
    await store.put('a', new TextEncoder().encode('kept'))
    await store.close()
    const holder = startOutside('gate-holder', [path])
    await holder.line()
    await holder.kill()

    expect(await openInside(path)).toEqual({ toWrite: 'kept', toRead: 'kept' })
    expect(await left(path)).toEqual([])
  })

  it('that lives and does not leave the gate is waited for so long and no longer, and named', async () => {
    const path = await folder()
    await (await openLmdbStore({ path })).close()
    const holder = startInside('gate-holder', [path])
    await holder.line()
    const refusal = { code: 'ERR_STORE_IN_USE', message: expect.stringContaining(join(path, 'gate')) as string }

    await expect(openLmdbStore({ path })).rejects.toMatchObject(refusal)
    await holder.kill()
    await (await openLmdbStore({ path })).close()
  })

  it('that has no socket counts as alive until its mark is removed', async () => {
    const path = await folder()
    await (await openLmdbStore({ path })).close()
    const mark = join(path, 'holders', nameWithoutSocket())
    await writeFile(mark, '')
    const refusal = { code: 'ERR_STORE_IN_USE', message: expect.stringContaining(mark) as string }

    await expect(openLmdbStore({ path })).rejects.toMatchObject(refusal)
    await expect(openLmdbStore({ path, readOnly: true })).rejects.toMatchObject(refusal)
    await rm(mark)
    await (await openLmdbStore({ path })).close()
  })
})

/** What processes have left in a store's folder. */
async function left(path: string): Promise<string[]> {
  const marks = await readdir(join(path, 'holders')).catch(() => [])
  return [...marks, ...(await readdir(path)).filter((name) => name === 'gate' || name.includes('socket'))]
}
