import { isNetError, silentLogger } from '@net/types'
import { copyFile, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { openLmdbStore, restoreLmdbStore, StoreDamagedError } from '../src/index.ts'
import { openTables } from '../src/tables.ts'
import { temporaryFolders } from './temporary-folder.ts'

const PAGE_BYTES = 4096
const COPIES = 48
const code = (name: string, rest: object = {}): object => expect.objectContaining({ code: name, ...rest }) as object
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const folder = temporaryFolders()

/** A generator of numbers from 0 to below 1, the same ones for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32
}

/** Values short and long, so that they lie within pages and over several. */
async function fill(path: string): Promise<Map<string, string>> {
  await using store = await openLmdbStore({ path })
  const values = new Map<string, string>()
  for (let number = 0; number < 300; number++) {
    values.set(`network/${number}`, `${number} `.repeat(number % 50 === 0 ? 1500 : 20))
  }
  await Promise.all([...values].map(([key, value]) => store.put(key, bytes(value))))
  for (let number = 0; number < 300; number += 3) {
    await store.delete(`network/${number}`)
    values.delete(`network/${number}`)
  }
  return values
}

async function copyOf(path: string): Promise<string> {
  const copy = join(await folder(), 'store')
  await mkdir(copy)
  for (const name of ['data.mdb', 'snapshot', 'clean.json']) await copyFile(join(path, name), join(copy, name))
  return copy
}

/** Changes a few bytes of a page, most often of the first ones, and in its head: that is what LMDB trusts. */
async function spoil(file: string, seed: number): Promise<void> {
  const random = randomOf(seed * 7919)
  const data = await readFile(file)
  const page = Math.floor(random() * (random() < 0.2 ? 8 : data.length / PAGE_BYTES)) * PAGE_BYTES
  const reach = random() < 0.6 ? 64 : PAGE_BYTES
  for (let change = 0; change < 1 + random() * 8; change++)
    data[page + Math.floor(random() * reach)]! ^= 1 + random() * 255
  await writeFile(file, data)
}

describe('a damaged file', () => {
  let path: string
  let values: Map<string, string>
  beforeEach(async () => {
    path = await folder()
    values = await fill(path)
  })

  /** Opens a spoilt copy, and says what came of it. What it holds must be right, or reported. */
  async function tryCopy(seed: number): Promise<'refused' | 'right' | 'reported'> {
    const copy = await copyOf(path)
    await spoil(join(copy, 'data.mdb'), seed)
    const store = await openLmdbStore({ path: copy, probeTimeoutMs: 3000 }).catch((error: unknown) => {
      if (isNetError(error, 'ERR_STORE_DAMAGED')) return undefined
      throw error
    })
    if (store === undefined) {
      expect(await restoreLmdbStore({ path: copy })).toMatchObject({ entries: values.size })
      return 'refused'
    }
    const { entries, damaged } = await store.list('')
    expect([...entries.map(({ key }) => key), ...damaged].sort()).toEqual([...values.keys()].sort())
    for (const { key, value } of entries) expect(Buffer.from(value).toString()).toBe(values.get(key))
    await store.put('new', bytes('new'))
    expect((await store.list('')).entries).toHaveLength(entries.length + 1)
    await store.close()
    return damaged.length === 0 ? 'right' : 'reported'
  }

  it('is refused, or has right values and names the others, wherever it is damaged', async () => {
    const outcomes: string[] = []
    const seeds = Array.from({ length: COPIES }, (_, seed) => seed + 1)
    const work = async (): Promise<void> => {
      for (let seed = seeds.pop(); seed !== undefined; seed = seeds.pop()) outcomes.push(await tryCopy(seed))
    }
    await Promise.all([work(), work(), work()])

    expect(outcomes).toHaveLength(COPIES)
    expect(outcomes.filter((outcome) => outcome === 'refused').length).toBeGreaterThan(5)
    expect(outcomes.filter((outcome) => outcome === 'right').length).toBeGreaterThan(5)
  }, 60_000)

  it.each([
    ['cut short', (file: string) => truncate(file, 3 * PAGE_BYTES)],
    ['empty of sense', (file: string) => writeFile(file, Buffer.alloc(20 * PAGE_BYTES, 'nonsense'))],
    ['not even a page', (file: string) => writeFile(file, 'x')],
  ])('is refused with its place and that of the snapshot, and kept: %s', async (_what, harm) => {
    const file = join(path, 'data.mdb')
    await harm(file)
    const before = await readFile(file)

    await expect(openLmdbStore({ path })).rejects.toThrow(
      code('ERR_STORE_DAMAGED', { kind: 'internal', file, snapshot: join(path, 'snapshot') }),
    )
    expect(Buffer.compare(await readFile(file), before)).toBe(0)
  })

  it('is restored from the snapshot by one call, kept under a dated name, and counts on far above', async () => {
    const { revision, entries } = await lookAt(path)
    await truncate(join(path, 'data.mdb'), PAGE_BYTES)
    await expect(openLmdbStore({ path })).rejects.toThrow(StoreDamagedError)

    const report = await restoreLmdbStore({ path })

    expect(report).toEqual({
      entries: values.size,
      revision,
      damagedFile: expect.stringMatching(/damaged-.*\.mdb$/) as string,
    })
    expect((await stat(report.damagedFile!)).size).toBe(PAGE_BYTES)
    await using store = await openLmdbStore({ path })
    expect((await store.list('')).entries).toEqual(entries)
    expect(await store.put('new', bytes('1'))).toBeGreaterThan(revision + 1_000_000)
    await expect(store.watch('', { from: revision })[Symbol.asyncIterator]().next()).rejects.toThrow(
      code('ERR_HISTORY_LOST'),
    )
  })

  it('is not restored from a snapshot that is damaged, missing, or while it is open', async () => {
    const snapshot = join(path, 'snapshot')
    const data = await readFile(snapshot)
    const store = await openLmdbStore({ path })
    await expect(restoreLmdbStore({ path })).rejects.toThrow(code('ERR_STORE_IN_USE', { kind: 'retry' }))
    await store.close()
    for (const spoilt of [data.subarray(0, -1), data.with(1000, data.at(1000)! ^ 1), Buffer.alloc(0)]) {
      await writeFile(snapshot, spoilt)
      await expect(restoreLmdbStore({ path })).rejects.toThrow(code('ERR_NO_SNAPSHOT', { kind: 'not-found' }))
    }

    expect((await lookAt(path)).entries).toHaveLength(values.size)
    await expect(restoreLmdbStore({ path: await folder() })).rejects.toThrow(code('ERR_NO_SNAPSHOT'))
  })

  it('that is gone is refused, as long as there is a snapshot', async () => {
    const copy = await copyOf(path)
    await rm(join(copy, 'data.mdb'))

    await expect(openLmdbStore({ path: copy })).rejects.toThrow(code('ERR_STORE_DAMAGED'))
    expect(await restoreLmdbStore({ path: copy })).toMatchObject({ entries: values.size, damagedFile: undefined })
  })

  it('leaves nothing behind in the folder but the store', async () => {
    await lookAt(path)

    expect((await readdir(path)).sort()).toEqual([
      'clean.json',
      'data.mdb',
      'data.mdb-lock',
      'holders',
      'snapshot',
      'wake',
    ])
    expect(await readdir(join(path, 'holders'))).toEqual([])
  })
})

describe('a damaged value', () => {
  it('is logged by key once, kept aside as it was, and stays there when it is replaced', async () => {
    const path = await folder()
    const seen: object[] = []
    const logger = { ...silentLogger, error: (fields: object) => seen.push(fields) }
    await using store = await openLmdbStore({ path, logger })
    await store.put('a', bytes('one'))
    const tables = openTables(join(path, 'data.mdb'), false)
    const spoilt = tables.entries.get(Buffer.from('a'))!
    spoilt.set([0xff], spoilt.length - 1)
    await tables.entries.put(Buffer.from('a'), spoilt)
    await tables.root.close()

    for (let look = 0; look < 2; look++) await expect(store.get('a')).rejects.toThrow(code('ERR_VALUE_DAMAGED'))
    expect((await store.list('')).damaged).toEqual(['a'])
    await expect(store.put('a', bytes('two'), { ifVersion: 1 })).rejects.toThrow(code('ERR_VALUE_DAMAGED'))
    await store.put('a', bytes('two'))

    expect(await store.listDamaged()).toEqual([{ key: 'a', bytes: Uint8Array.from(spoilt) }])
    expect(seen).toEqual([{ key: 'a', path }])
  })
})

async function lookAt(path: string): Promise<{ revision: number; entries: readonly unknown[] }> {
  await using store = await openLmdbStore({ path })
  return await store.list('')
}
