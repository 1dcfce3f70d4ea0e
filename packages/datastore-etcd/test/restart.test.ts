import type { StoreChange } from '@net/datastore'
import { afterAll, beforeAll, beforeEach, afterEach, expect, it } from 'vitest'
import { openEtcdStore, type EtcdStore } from '../src/index.ts'
import { compact } from './ask-etcd.ts'
import { bytes, hasCode } from './expectations.ts'
import { describeEtcd, startEtcd, type EtcdServer } from './etcd-server.ts'

describeEtcd('when etcd goes away and comes back', () => {
  let server: EtcdServer
  let store: EtcdStore
  beforeAll(async () => {
    server = await startEtcd()
  })
  afterAll(() => server[Symbol.asyncDispose]())
  beforeEach(async () => {
    store = await openEtcdStore({ endpoints: [server.endpoint] })
  })
  afterEach(() => store.close())

  it('a watch goes on without a gap and without repetition', async () => {
    const changes = store.watch('a/')[Symbol.asyncIterator]()
    const expected: number[] = []
    const seen: number[] = []
    for (let round = 0; round < 2; round++) {
      expected.push(await store.put('a/1', bytes(`${round} before`)))
      seen.push((await next(changes)).revision)
      const waiting = next(changes)
      await server.kill()
      await server.restart()
      expected.push(await store.put('a/2', bytes(`${round} after`)))
      seen.push((await waiting).revision)
    }

    expect(seen).toEqual(expected)
  })

  it('a watch whose reader was away for too long learns it', async () => {
    const changes = store.watch('a')[Symbol.asyncIterator]()
    const from = await store.put('a', bytes('seen'))
    await next(changes)
    await server.kill()
    await server.restart()
    await store.put('a', bytes('not seen'))
    await store.put('a', bytes('not seen either'))
    const oldest = await compact(server.endpoint)

    await expect(changes.next()).rejects.toThrow(hasCode('ERR_HISTORY_LOST', { from, oldest }))
    expect(await changes.next()).toMatchObject({ done: true })
  })

  it('a deletion at the very revision that history was lost at is not passed over', async () => {
    const from = await store.put('gone', bytes('1'))
    await store.delete('gone')
    await compact(server.endpoint)

    const changes = store.watch('gone', { from })[Symbol.asyncIterator]()

    await expect(changes.next()).rejects.toThrow(hasCode('ERR_HISTORY_LOST', { from, oldest: from + 1 }))
  })

  it('what was not sent is carried out when it is back', async () => {
    await server.kill()
    const write = store.put('late', bytes('1'))
    const read = store.list('')
    await server.restart()

    const version = await write
    expect(await store.get('late')).toMatchObject({ version })
    await read
  })

  it('a call says in time that nobody is there, and that nothing took place', async () => {
    const hasty = await openEtcdStore({ endpoints: [server.endpoint], requestTimeoutMs: 150 })
    await server.kill()

    const unavailable = hasCode('ERR_STORE_UNAVAILABLE', { outcome: 'none', kind: 'retry' })
    await expect(hasty.get('a')).rejects.toThrow(unavailable)
    await expect(hasty.put('a', bytes('1'))).rejects.toThrow(unavailable)
    await expect(hasty.lease(5_000)).rejects.toThrow(unavailable)
    await hasty.close()
    await server.restart()
  })

  it('a lease that could not be renewed in time is lost', async () => {
    const lease = await store.lease(1_000)
    await server.kill()
    await new Promise<void>((resolve) => {
      lease.lost.addEventListener('abort', () => {
        resolve()
      })
    })
    await server.restart()

    expect(lease.lost.reason).toBeInstanceOf(Error)
    await lease.release()
  })
})

async function next(changes: AsyncIterator<StoreChange>): Promise<StoreChange> {
  const result = await changes.next()
  if (result.done === true) throw new Error('the watch has ended')
  return result.value
}
