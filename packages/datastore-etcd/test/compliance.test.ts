import { randomId } from '@net/types'
import { openEtcdStore } from '../src/index.ts'
import { describeStore, type StorePlace } from '@net/datastore/testing'
import { afterAll, beforeAll } from 'vitest'
import { askEtcd, compact, getRaw, putRaw } from './ask-etcd.ts'
import { describeEtcd, startEtcd, type EtcdServer } from './etcd-server.ts'

describeEtcd('with etcd', () => {
  let server: EtcdServer
  beforeAll(async () => {
    server = await startEtcd()
  })
  afterAll(() => server[Symbol.asyncDispose]())

  describeStore('etcd', { open: () => openPlace(server.endpoint) })
})

/** One server serves all tests: each has a prefix of its own. */
async function openPlace(endpoint: string): Promise<StorePlace> {
  const prefix = `${randomId()}/`
  const openAgain = (): ReturnType<typeof openEtcdStore> => openEtcdStore({ endpoints: [endpoint], prefix })
  return {
    store: await openAgain(),
    openAgain,
    async damage(key) {
      const raw = (await getRaw(endpoint, `${prefix}data/${key}`)) ?? new Uint8Array()
      raw[raw.length - 1]! ^= 1
      await putRaw(endpoint, `${prefix}data/${key}`, raw)
    },
    async forgetHistory() {
      await putRaw(endpoint, `${prefix}~`, new Uint8Array())
      await compact(endpoint)
    },
    async expireLease(id) {
      await askEtcd(endpoint, 'lease/revoke', { ID: id })
    },
  }
}
