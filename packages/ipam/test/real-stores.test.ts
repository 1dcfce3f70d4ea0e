import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '@net/datastore'
import { openEtcdStore } from '@net/datastore-etcd'
import { openLmdbStore } from '@net/datastore-lmdb'
import { describeIpamDriver } from '@net/ipamapi/testing'
import { randomId } from '@net/types'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { describeEtcd, startEtcd, type EtcdServer } from '../../datastore-etcd/test/etcd-server.ts'
import { defaultIpam } from '../src/index.ts'

const opened: { store: Store; path: string | undefined }[] = []
afterEach(async () => {
  for (const { store, path } of opened.splice(0)) {
    await store.close()
    if (path !== undefined) rmSync(path, { recursive: true })
  }
})

async function openStore(): Promise<Store> {
  const path = mkdtempSync(join(tmpdir(), 'net-ipam-'))
  const store = await openLmdbStore({ path })
  opened.push({ store, path })
  return store
}

describeEtcd('with etcd', () => {
  let server: EtcdServer
  beforeAll(async () => {
    server = await startEtcd()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  describeIpamDriver('default, over etcd', async () => {
    const store = await openEtcdStore({ endpoints: [server.endpoint], prefix: `${randomId()}/` })
    opened.push({ store, path: undefined })
    return defaultIpam({}, { store })
  })
})

describeIpamDriver('default, over LMDB', async () => defaultIpam({}, { store: await openStore() }))

it('the manager finds pools and addresses again when its store is opened again', async () => {
  const store = await openStore()
  const { id } = await defaultIpam({}, { store }).requestPool({ addressSpace: 'LocalDefault', family: 6 })
  const { address } = await defaultIpam({}, { store }).requestAddress(id, { owner: 'me' })
  await store.close()

  const again = await openLmdbStore({ path: opened[0]!.path! })
  const ipam = defaultIpam({}, { store: again })

  expect(await ipam.requestAddress(id, { owner: 'me' })).toEqual({ address, data: {} })
  expect((await ipam.requestPool({ addressSpace: 'LocalDefault', family: 6 })).pool.slice(0, 14)).toBe(
    id.slice('LocalDefault/'.length).slice(0, 14),
  )
  await again.close()
})
