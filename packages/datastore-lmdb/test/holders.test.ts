import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { storeFolder } from '../src/folder.ts'
import { appear, holderOf, ownName } from '../src/holders.ts'
import { openLmdbStore, restoreLmdbStore } from '../src/index.ts'
import { children } from './child.ts'
import { temporaryFolders } from './temporary-folder.ts'

const folder = temporaryFolders()
const start = children()

/** The sockets in a store's folder. */
async function socketsIn(path: string): Promise<string[]> {
  return (await readdir(path)).filter((name) => name.includes('socket'))
}

describe('the sockets of those who have a store open', () => {
  it('are as many as it is open, and gone when it is closed', async () => {
    const path = await folder()
    const stores = await Promise.all(Array.from({ length: 3 }, () => openLmdbStore({ path })))
    expect(await socketsIn(path)).toHaveLength(3)
    expect((await socketsIn(path)).sort()).toEqual((await readdir(join(path, 'holders'))).sort())

    await Promise.all(stores.map((store) => store.close()))
    expect(await socketsIn(path)).toEqual([])
  })

  it('are gone when it could not be opened, or not be restored', async () => {
    const path = await folder()
    await writeFile(join(path, 'data.mdb'), 'no store')

    await expect(openLmdbStore({ path })).rejects.toMatchObject({ code: 'ERR_STORE_DAMAGED' })
    await expect(restoreLmdbStore({ path })).rejects.toMatchObject({ code: 'ERR_NO_SNAPSHOT' })
    expect(await socketsIn(path)).toEqual([])
  })

  it('that the dead have left go when somebody opens it, those of the living stay', async () => {
    const path = await folder()
    const [holder, inside] = [start('holder', [path]), start('gate-holder', [await folder()])]
    await Promise.all([holder.line(), inside.line()])
    await using living = await appear(storeFolder(path))
    await holder.kill()
    const [left] = (await socketsIn(path)).filter((name) => name !== living.name)
    // One that was killed before it listened, and one of another start of the machine.
    await writeFile(join(path, `${String(left)}.new`), '')
    await writeFile(join(path, '1.1.deadbeef.1.0123456789ab.socket'), '')

    await using store = await openLmdbStore({ path })
    expect(new TextDecoder().decode((await store.get('a')).value)).toBe('kept')
    expect(await socketsIn(path)).toHaveLength(2)
    expect(await socketsIn(path)).toContain(living.name)
  })
})

describe('what the dead have left', () => {
  const left = ['gate.0123456789abcdef', 'snapshot.0123456789ab']

  it('goes when somebody opens the store', async () => {
    const path = await folder()
    await (await openLmdbStore({ path })).close()
    for (const name of left) await writeFile(join(path, name), '')

    await using _store = await openLmdbStore({ path })
    expect((await readdir(path)).filter((name) => left.includes(name))).toEqual([])
  })

  it('stays where it may be what another holder writes', async () => {
    const path = await folder()
    await using _other = await openLmdbStore({ path })
    for (const name of left) await writeFile(join(path, name), '')

    await using _store = await openLmdbStore({ path })
    expect((await readdir(path)).filter((name) => left.includes(name))).toEqual(['snapshot.0123456789ab'])
  })
})

describe('the name of a holder', () => {
  it('of an older version, without a namespace, is that of a process of the own', async () => {
    const path = await folder()
    const [pid, birth, boot, , id] = ownName().split('.') as [string, string, string, string, string]
    const stateOf = async (name: string): Promise<string> => (await holderOf(storeFolder(path), '', name)).state

    expect(await stateOf([pid, birth, boot, id].join('.'))).toBe('alive')
    expect(await stateOf([pid, '1', boot, id].join('.'))).toBe('dead')
    expect(await stateOf([pid, birth, 'deadbeef', id].join('.'))).toBe('dead')
  })

  it('says that there is no socket where none could be made', async () => {
    await using here = await appear(storeFolder(await folder()))
    await using nowhere = await appear(storeFolder(join(await folder(), 'nowhere')))

    expect(here.name).toMatch(/^(\w+\.){5}socket$/)
    expect(nowhere.name).toMatch(/^(\w+\.){4}\w+$/)
  })

  it('of another PID namespace says whether to ask a socket, which is always one of the folder', async () => {
    const path = await folder()
    const [pid, birth, boot, , id] = ownName().split('.') as [string, string, string, string, string]
    const elsewhere = [pid, birth, boot, '1', id].join('.')
    const server = createServer().listen(join(path, `${elsewhere}.socket`))
    await once(server, 'listening')
    const below = storeFolder(join(path, 'below'))
    await mkdir(below.path)

    expect((await holderOf(storeFolder(path), '', elsewhere)).state).toBe('elsewhere')
    expect((await holderOf(storeFolder(path), '', `${elsewhere}.socket`)).state).toBe('elsewhere')
    expect((await holderOf(below, '', `${elsewhere}.socket`)).state).toBe('dead')
    server.close()
    expect((await holderOf(storeFolder(path), '', `${elsewhere}.socket`)).state).toBe('dead')
  })

  it('at the gate that leads out of the folder removes nothing there', async () => {
    const path = await folder()
    const outside = await folder()
    await writeFile(join(outside, 'file'), '')
    await symlink(`${outside}/file`, join(path, 'gate'))

    await (await openLmdbStore({ path })).close()
    expect(await readdir(outside)).toEqual(['file'])
  })
})
