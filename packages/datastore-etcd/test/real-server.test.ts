import { LIMITS, sealValue, type StoreChange } from '@net/datastore'
import { randomId } from '@net/types'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openEtcdStore, type EtcdStore } from '../src/index.ts'
import { getRaw, putRaw } from './ask-etcd.ts'
import { startCutConnection } from './cut-connection.ts'
import { bytes, hasCode } from './expectations.ts'
import { describeEtcd, startEtcd, type EtcdServer } from './etcd-server.ts'

describeEtcd('with etcd', () => {
  let server: EtcdServer
  let store: EtcdStore
  let prefix: string
  const open = (): ReturnType<typeof openEtcdStore> => openEtcdStore({ endpoints: [server.endpoint], prefix })
  beforeAll(async () => {
    server = await startEtcd()
  })
  afterAll(() => server[Symbol.asyncDispose]())
  beforeEach(async () => {
    prefix = `${randomId()}/`
    store = await open()
  })
  afterEach(() => store.close())

  describe('a connection that breaks behind a write', () => {
    it('leaves open whether the write took place, and it is not repeated', async () => {
      await using way = await startCutConnection(server.endpoint)
      await using distant = await openEtcdStore({ endpoints: [way.endpoint], prefix })
      way.cutBehindNextRequest()

      const broken = distant.put('a', bytes('1'), { ifVersion: 0 })
      await expect(broken).rejects.toThrow(hasCode('ERR_STORE_UNAVAILABLE', { outcome: 'unknown', kind: 'retry' }))
      expect((await distant.get('a')).value).toEqual(bytes('1'))
    })

    it('is not noticed by a read', async () => {
      await store.put('a', bytes('1'))
      await using way = await startCutConnection(server.endpoint)
      await using distant = await openEtcdStore({ endpoints: [way.endpoint], prefix })
      way.cutBehindNextRequest()

      expect((await distant.get('a')).value).toEqual(bytes('1'))
    })
  })

  describe('a damaged value', () => {
    const damage = async (key: string): Promise<Uint8Array> => {
      const path = `${prefix}data/${key}`
      const value = (await getRaw(server.endpoint, path))!
      value[value.length - 1]! ^= 1
      await putRaw(server.endpoint, path, value)
      return value
    }

    it('is named by get and list, and replaced by a put', async () => {
      for (const key of ['a/1', 'a/2', 'a/3']) await store.put(key, bytes('1'))
      await damage('a/2')

      await expect(store.get('a/2')).rejects.toThrow(hasCode('ERR_VALUE_DAMAGED', { key: 'a/2' }))
      const listing = await store.list('a/')
      expect(listing.entries.map(({ key }) => key)).toEqual(['a/1', 'a/3'])
      expect(listing.damaged).toEqual(['a/2'])
      await store.put('a/2', bytes('2'))
      expect((await store.list('a/')).damaged).toEqual([])
    })

    it('does not count to the limit of a listing, so that the next part has a key to go on from', async () => {
      for (const key of ['a', 'b', 'c', 'd']) await store.put(key, bytes('1'))
      await damage('a')
      await damage('b')
      const { entries, damaged, more } = await store.list('', { limit: 1 })

      expect(entries.map(({ key }) => key)).toEqual(['c'])
      expect({ damaged, more }).toEqual({ damaged: ['a', 'b'], more: true })
    })

    it('is told to those who watch', async () => {
      const changes = store.watch('')[Symbol.asyncIterator]()
      await store.put('a', bytes('1'))
      await changes.next()
      await damage('a')

      expect((await changes.next()).value).toMatchObject({ events: [{ type: 'damaged', key: 'a' }] })
    })

    it('is kept aside once, as it was found, however often it is met and by whom', async () => {
      await store.put('a/b', bytes('1'))
      const found = await damage('a/b')
      await using other = await open()
      for (const one of [store, other, store]) await one.list('')
      await store.put('a/b', bytes('2'))

      expect(await other.listDamaged()).toEqual([{ key: 'a/b', version: expect.any(Number) as number, bytes: found }])
      expect((await store.list('')).entries).toHaveLength(1)
    })

    it('is one that lies under another key than it was written for', async () => {
      await putRaw(server.endpoint, `${prefix}data/a`, sealValue('b', bytes('1')))

      await expect(store.get('a')).rejects.toThrow(hasCode('ERR_VALUE_DAMAGED'))
    })
  })

  describe('the format', () => {
    it('is written once', async () => {
      expect(await getRaw(server.endpoint, `${prefix}format`)).toEqual(bytes('1'))
    })

    it('that is newer is refused', async () => {
      await putRaw(server.endpoint, `${prefix}format`, bytes('2'))

      await expect(open()).rejects.toThrow(hasCode('ERR_STORE_VERSION', { kind: 'forbidden' }))
    })

    it('that is none is refused', async () => {
      await putRaw(server.endpoint, `${prefix}format`, bytes('two'))

      await expect(open()).rejects.toThrow(hasCode('ERR_VALUE_DAMAGED'))
    })
  })

  describe('what is large', () => {
    it('is listed in several answers, all at one revision', async () => {
      const value = new Uint8Array(LIMITS.valueBytes).fill(1)
      for (let number = 0; number < 13; number++) await store.put(`large/${number}`, value)
      const listing = store.list('large/')
      const { entries, revision } = await listing

      expect(entries).toHaveLength(13)
      expect(entries.every((entry) => Buffer.compare(entry.value, value) === 0)).toBe(true)
      expect(Math.max(...entries.map(({ version }) => version))).toBeLessThanOrEqual(revision)
    })

    it('waits in etcd for a reader that is slow, who misses nothing of it', async () => {
      const value = new Uint8Array(LIMITS.valueBytes).fill(1)
      const changes = store.watch('slow')[Symbol.asyncIterator]()
      const versions = [await store.put('slow', value)]
      const seen = [await changes.next()]
      // More than the connection holds.
      while (versions.length < 40) versions.push(await store.put('slow', value))
      while (seen.length < versions.length) seen.push(await changes.next())

      expect(seen.map((change) => (change.value as StoreChange).revision)).toEqual(versions)
    })

    it('is listed completely, beyond what etcd answers at once', async () => {
      for (let round = 0; round < 12; round++) {
        const keys = Array.from({ length: 100 }, (_, number) => `many/${round}/${number}`)
        await store.transaction(keys.map((key) => ({ type: 'put', key, value: bytes('1') })))
      }

      expect((await store.list('many/')).entries).toHaveLength(1200)
      expect((await store.list('many/', { limit: 700 })).entries).toHaveLength(700)
    })

    it('is taken up to the very limit, with a condition on each of the longest keys', async () => {
      const keys = Array.from({ length: LIMITS.operations }, (_, number) =>
        String(number).padStart(LIMITS.keyBytes, '0'),
      )
      const value = new Uint8Array(LIMITS.transactionBytes / LIMITS.operations)
      await store.transaction(keys.map((key) => ({ type: 'put', key, value, ifVersion: 0 })))

      expect((await store.list('0')).entries).toHaveLength(keys.length)
    })
  })

  it('passes over what others put below its prefix that cannot be a key', async () => {
    const changes = store.watch('')[Symbol.asyncIterator]()
    await putRaw(server.endpoint, Buffer.concat([Buffer.from(`${prefix}data/`), Buffer.from([0xff])]), bytes('1'))
    const version = await store.put('a', bytes('1'))

    expect((await store.list('')).entries).toMatchObject([{ key: 'a', version }])
    expect((await changes.next()).value).toMatchObject({ revision: version })
  })

  it('rounds the time of a lease up to whole seconds', async () => {
    const lease = await store.lease(2_001)

    expect(lease.ttlMs).toBe(3_000)
    await lease.release()
  })
})

describeEtcd('etcd with little room', () => {
  it('refuses what is too large or too much, and nothing of it takes place', async () => {
    await using server = await startEtcd({ args: ['--quota-backend-bytes', '100000', '--max-request-bytes', '50000'] })
    await using store = await openEtcdStore({ endpoints: [server.endpoint] })
    const fill = async (): Promise<void> => {
      for (let number = 0; number < 500; number++) await store.put(`a/${number}`, new Uint8Array(40_000))
    }

    await expect(store.put('a', new Uint8Array(60_000))).rejects.toThrow(hasCode('ERR_TRANSACTION_TOO_LARGE'))
    await expect(fill()).rejects.toThrow(hasCode('ERR_STORE_FULL', { kind: 'no-service' }))
    await expect(store.put('b', bytes('1'))).rejects.toThrow(hasCode('ERR_STORE_FULL'))
    expect(await store.find('b')).toBeUndefined()
  })
})
