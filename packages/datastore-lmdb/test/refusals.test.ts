import { sealValue } from '@net/datastore'
import { readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as lmdb from 'lmdb'
import { describe, expect, it } from 'vitest'
import { markClean } from '../src/clean-mark.ts'
import { storeFolder } from '../src/folder.ts'
import { passGate } from '../src/gate.ts'
import { appear } from '../src/holders.ts'
import { openLmdbStore, type LmdbStoreOptions } from '../src/index.ts'
import { FORMAT, STATE_KEY } from '../src/store-state.ts'
import { openTables } from '../src/tables.ts'
import { children, runWithFileLimit } from './child.ts'
import { temporaryFolders } from './temporary-folder.ts'

const code = (name: string, rest: object = {}): object => expect.objectContaining({ code: name, ...rest }) as object
const value = new Uint8Array([1])
const folder = temporaryFolders()

describe('a store that is open for reading only', () => {
  const start = children()

  async function written(): Promise<string> {
    const path = await folder()
    await using store = await openLmdbStore({ path })
    await store.put('a', value)
    return path
  }

  it('reads, watches, and refuses to write', async () => {
    const path = await written()
    await using store = await openLmdbStore({ path, readOnly: true })
    const readOnly = code('ERR_STORE_READ_ONLY', { kind: 'forbidden' })

    expect((await store.list('')).entries).toMatchObject([{ key: 'a', value }])
    await expect(store.put('a', value)).rejects.toThrow(readOnly)
    await expect(store.delete('a')).rejects.toThrow(readOnly)
    await expect(store.transaction([{ type: 'delete', key: 'a' }])).rejects.toThrow(readOnly)
    await expect(store.lease(1000)).rejects.toThrow(readOnly)
    await expect(store.snapshot()).rejects.toThrow(readOnly)
  })

  it('sees what another holder writes', async () => {
    const path = await written()
    await using reader = await openLmdbStore({ path, readOnly: true })
    const change = reader.watch('')[Symbol.asyncIterator]().next()
    const writer = start('writer', [path, 'b'])
    await writer.line()

    expect(await change).toMatchObject({ value: { events: [{ key: 'sum' }, { key: 'count/b' }, {}] } })
    expect(await reader.find('count/b')).toBeDefined()
    await writer.kill()
  })

  it('leaves the folder as it is', async () => {
    const path = await written()
    const before = await readFile(join(path, 'data.mdb'))
    const reader = await openLmdbStore({ path, readOnly: true })
    await reader.close()

    expect(Buffer.compare(await readFile(join(path, 'data.mdb')), before)).toBe(0)
  })

  it('is not made where there is none', async () => {
    const path = await folder()

    await expect(openLmdbStore({ path, readOnly: true })).rejects.toThrow(code('ERR_STORE_UNAVAILABLE'))
  })
})

describe('a store of a newer format', () => {
  it.each([true, false])('is refused and left as it is, whether it was closed (%s) or not', async (isClosed) => {
    const path = await folder()
    await (await openLmdbStore({ path })).close()
    const tables = openTables(join(path, 'data.mdb'), false)
    const state = { format: FORMAT + 1, revision: 0, oldest: 0, logBytes: 0, entries: 0 }
    await tables.state.put(STATE_KEY, sealValue('state', Buffer.from(JSON.stringify(state))), 1)
    await tables.root.close()
    if (isClosed) {
      await markClean(storeFolder(path))
    }
    const before = await readFile(join(path, 'data.mdb'))

    await expect(openLmdbStore({ path })).rejects.toThrow(code('ERR_STORE_VERSION', { kind: 'forbidden' }))
    await expect(openLmdbStore({ path, readOnly: true })).rejects.toThrow(code('ERR_STORE_VERSION'))
    expect(Buffer.compare(await readFile(join(path, 'data.mdb')), before)).toBe(0)
  })
})

describe('a process that may not write large files', () => {
  it('is told that there is no room, and keeps all it had', async () => {
    const report = JSON.parse(await runWithFileLimit('filler', await folder(), 2 ** 20)) as Record<string, unknown>

    expect(report).toMatchObject({ code: 'ERR_STORE_FULL', kind: 'no-service', allRight: true })
    expect(report.taken).toBeGreaterThan(5)
    expect(report.listed).toBe(report.taken)
  })

  it('reads what is sound though it cannot set aside what is not', async () => {
    const path = await folder()
    const store = await openLmdbStore({ path })
    for (const key of ['a', 'b']) await store.put(key, new Uint8Array(400_000))
    await store.close()
    const tables = openTables(join(path, 'data.mdb'), false)
    const spoilt = tables.entries.get(Buffer.from('a'))!
    spoilt.set([0xff], spoilt.length - 1)
    await tables.entries.put(Buffer.from('a'), spoilt)
    // Takes the place that became free.
    await tables.log.put(Buffer.alloc(8, 0xff), Buffer.alloc(400_000))
    await tables.log.put(Buffer.alloc(8, 0xfe), Buffer.alloc(400_000))
    await tables.root.close()
    await markClean(storeFolder(path))
    const { size } = await stat(join(path, 'data.mdb'))

    const report: unknown = JSON.parse(await runWithFileLimit('reader', path, size + 50_000))

    expect(report).toEqual({ got: 'ERR_VALUE_DAMAGED', listed: ['b'], damaged: ['a'], aside: 0 })
  })
})

describe('opening', () => {
  it.each([
    { path: '' },
    { path: 'x', history: 0 },
    { path: 'x', historyBytes: 0.5 },
    { path: 'x', snapshotIntervalMs: 10 },
  ] satisfies LmdbStoreOptions[])('refuses %j', async (options) => {
    await expect(openLmdbStore(options)).rejects.toThrow(code('ERR_INVALID_STORE_OPTION', { kind: 'bad-request' }))
  })

  it("refuses somebody else's database, and leaves it as it is", async () => {
    const path = await folder()
    const foreign = { path: join(path, 'data.mdb'), noSubdir: true }
    const theirs = lmdb.open<string>(foreign)
    await theirs.put('a', 'theirs')
    await theirs.close()

    await expect(openLmdbStore({ path })).rejects.toThrow(code('ERR_STORE_DAMAGED'))
    const again = lmdb.open<string>(foreign)
    expect(again.get('a')).toBe('theirs')
    await again.close()
  })

  it('is given up with the reason of its signal, also while somebody else is inside', async () => {
    const path = await folder()
    await expect(openLmdbStore({ path }, { signal: AbortSignal.abort(new Error('no time')) })).rejects.toThrow(
      'no time',
    )
    const abort = new AbortController()
    await using own = await appear(storeFolder(path))
    await using _inside = await passGate(storeFolder(path), own)
    const opening = openLmdbStore({ path }, { signal: abort.signal })
    abort.abort(new Error('no time'))

    await expect(opening).rejects.toThrow('no time')
  })

  it('of one that is to be the only one is refused while it is open, and says by whom', async () => {
    const path = await folder()
    const first = await openLmdbStore({ path })

    await expect(openLmdbStore({ path, exclusive: true })).rejects.toMatchObject({
      code: 'ERR_STORE_IN_USE',
      pids: [process.pid],
    })
    await first.close()
    await using _only = await openLmdbStore({ path, exclusive: true })
    await expect(openLmdbStore({ path, exclusive: true })).rejects.toThrow(code('ERR_STORE_IN_USE'))
    await using _guest = await openLmdbStore({ path })
  })

  it('passes a gate whose process is dead', async () => {
    const path = await folder()
    await symlink('1.1.deadbeef.0123', join(path, 'gate'))

    await (await openLmdbStore({ path })).close()
  })

  it('reads a file through that was not closed, and takes all of it over', async () => {
    const path = await folder()
    const store = await openLmdbStore({ path })
    const version = await store.put('a', value)
    const lease = await store.lease(60_000)
    await store.put('bound', value, { lease: lease.id })
    const left = await folder()
    await writeFile(join(left, 'data.mdb'), await readFile(join(path, 'data.mdb')))
    await store.close()

    await using again = await openLmdbStore({ path: left })
    expect(await again.get('a')).toEqual({ key: 'a', value, version })
    expect(await again.find('bound')).toBeDefined()
    const changes = again.watch('', { from: version })[Symbol.asyncIterator]()
    expect(await changes.next()).toMatchObject({ value: { events: [{ key: 'bound' }] } })
  })
})
