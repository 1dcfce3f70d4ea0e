import { silentLogger, type Logger } from '@net/types'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  Collection,
  memoryStore,
  StoreFullError,
  StoreReadOnlyError,
  StoreUnavailableError,
  type CollectionOptions,
  type Store,
} from './index.ts'

interface Network {
  readonly name: string
  readonly mtu: number
}

function parse(value: unknown): Network {
  const { name, mtu } = value as Partial<Network>
  if (typeof name !== 'string' || typeof mtu !== 'number') throw new TypeError('expected a name and an mtu')
  return { name, mtu }
}

const code = (name: string, rest: object = {}): object => expect.objectContaining({ code: name, ...rest }) as object
const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
const web: Network = { name: 'web', mtu: 1500 }

describe('Collection', () => {
  let store: Store
  let warnings: object[]
  const networks = (options: Partial<CollectionOptions<Network>> = {}): Collection<Network> => {
    const logger: Logger = { ...silentLogger, warn: (fields) => warnings.push(fields) }
    return new Collection(store, { prefix: 'networks/', schema: { parse }, version: 1, logger, ...options })
  }
  beforeEach(() => {
    store = memoryStore()
    warnings = []
  })

  it('holds records under its prefix, as JSON with the version of their form', async () => {
    const version = await networks().put('web', web)

    expect(await networks().get('web')).toEqual({ id: 'web', value: web, version })
    expect((await store.get('networks/web')).value).toEqual(json({ version: 1, value: web }))
  })

  it('finds nothing where there is nothing', async () => {
    expect(await networks().find('web')).toBeUndefined()
    await expect(networks().get('web')).rejects.toThrow(code('ERR_KEY_NOT_FOUND'))
    expect(await networks().delete('web')).toBe(false)
  })

  it('lists its records in parts, by id', async () => {
    for (const id of ['c', 'a', 'b']) await networks().put(id, web)
    await store.put('networks', json('other'))

    expect(await networks().list({ limit: 2 })).toMatchObject({
      entries: [{ id: 'a' }, { id: 'b' }],
      refused: [],
      more: true,
    })
    expect(await networks().list({ after: 'b' })).toMatchObject({ entries: [{ id: 'c' }], more: false })
  })

  it('writes under the conditions of the store', async () => {
    const version = await networks().put('web', web, { ifVersion: 0 })
    await networks().put('web', { ...web, mtu: 1400 }, { ifVersion: version })

    await expect(networks().put('web', web, { ifVersion: version })).rejects.toThrow(code('ERR_VERSION_CONFLICT'))
    await expect(networks().delete('web', { ifVersion: version })).rejects.toThrow(code('ERR_VERSION_CONFLICT'))
  })

  it('gives the steps of a transaction as plain data', async () => {
    const version = await networks().put('old', web)
    await store.transaction([
      networks().putOperation('new', web, { ifVersion: 0 }),
      networks().checkOperation('other', 0),
      networks().deleteOperation('old', { ifVersion: version }),
    ])

    expect((await networks().list()).entries.map(({ id }) => id)).toEqual(['new'])
  })

  it('writes nothing that it could not read again', async () => {
    const wrong = { name: 'web', mtu: Number.NaN }

    await expect(networks().put('web', wrong)).rejects.toThrow(code('ERR_INVALID_RECORD', { kind: 'bad-request' }))
    expect(() => networks().putOperation('web', wrong)).toThrow(code('ERR_INVALID_RECORD'))
    expect(await networks().find('web')).toBeUndefined()
  })

  it('migrates records of older forms when they are read, a version at a time', async () => {
    await store.put('networks/web', json({ version: 1, value: 'web' }))
    const migrations = {
      1: (name: unknown) => ({ name }),
      2: (value: unknown) => ({ ...(value as object), mtu: 1500 }),
    }

    expect((await networks({ version: 3, migrations }).get('web')).value).toEqual(web)
    expect((await store.get('networks/web')).value).toEqual(json({ version: 1, value: 'web' }))
  })

  it('refuses a record of a newer form, which it does not understand, and lists the others', async () => {
    await networks({ version: 2 }).put('new', web)
    await networks().put('web', web)
    const newer = code('ERR_STORE_VERSION', { kind: 'forbidden' })

    await expect(networks().get('new')).rejects.toThrow(newer)
    const { entries, refused } = await networks().list()
    expect(entries.map(({ id }) => id)).toEqual(['web'])
    expect(refused).toEqual([{ id: 'new', error: newer }])
  })

  it.each([
    ['what the schema does not take', json({ version: 1, value: { name: 'web' } })],
    ['no form', json(web)],
    ['a form that is none', json({ version: 'x', value: web })],
    ['no JSON', Uint8Array.of(123)],
    ['no text', Uint8Array.of(0xff)],
    ['a form that nobody can migrate', json({ version: 0, value: web })],
  ])('names a record that is %s, keeps it, and sets a copy aside once', async (_what, bytes) => {
    const version = await store.put('networks/bad', bytes)
    await networks().put('web', web)
    const refusal = code('ERR_RECORD_REFUSED', { kind: 'internal', key: 'networks/bad' })

    await expect(networks().get('bad')).rejects.toThrow(refusal)
    expect(await networks().list()).toMatchObject({ entries: [{ id: 'web' }], refused: [{ id: 'bad' }] })
    expect((await store.get('networks/bad')).value).toEqual(bytes)
    expect((await store.get(`set-aside/${version}/networks/bad`)).value).toEqual(bytes)
    expect(warnings).toMatchObject([{ key: 'networks/bad' }])
  })

  it('keeps the copy of a refused record that is overwritten', async () => {
    const version = await store.put('networks/bad', Uint8Array.of(1))
    await expect(networks().get('bad')).rejects.toThrow(code('ERR_RECORD_REFUSED'))
    await networks().put('bad', web)

    expect((await networks().get('bad')).value).toEqual(web)
    expect((await store.get(`set-aside/${version}/networks/bad`)).value).toEqual(Uint8Array.of(1))
  })

  it.each([
    ['is full', new StoreFullError('/var/lib/net', 'ENOSPC')],
    ['is out of reach', new StoreUnavailableError('/var/lib/net', 'EIO', 'none', undefined)],
    ['is read only', new StoreReadOnlyError('/var/lib/net')],
  ])('lists all records of a store that %s, also where one is refused', async (_what, error) => {
    await store.put('networks/bad', Uint8Array.of(1))
    await networks().put('web', web)
    Object.assign(store, { put: () => Promise.reject(error) })

    expect(await networks().list()).toMatchObject({ entries: [{ id: 'web' }], refused: [{ id: 'bad' }] })
    await expect(networks().get('bad')).rejects.toThrow(code('ERR_RECORD_REFUSED'))
    expect(warnings).toMatchObject([{ err: error }, { err: error }])
  })

  it('is given up by whoever asked, also while a copy is set aside', async () => {
    await store.put('networks/bad', Uint8Array.of(1))
    const abort = new AbortController()
    const put = store.put.bind(store)
    Object.assign(store, {
      put: (...args: Parameters<Store['put']>) => {
        abort.abort(new Error('no time'))
        return put(...args)
      },
    })

    await expect(networks().list({ signal: abort.signal })).rejects.toThrow('no time')
  })

  it('names a value that the store found damaged', async () => {
    const listing = { entries: [], damaged: ['networks/web'], revision: 1, more: false }
    store = Object.assign(memoryStore(), { list: () => Promise.resolve(listing) })

    expect((await networks().list()).refused).toEqual([{ id: 'web', error: code('ERR_VALUE_DAMAGED') }])
  })
})
