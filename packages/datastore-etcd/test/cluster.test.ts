import { afterAll, beforeAll, expect, it } from 'vitest'
import { openEtcdStore } from '../src/index.ts'
import { askEtcd } from './ask-etcd.ts'
import { bytes } from './expectations.ts'
import { describeEtcd, startCluster, type EtcdServer } from './etcd-server.ts'

describeEtcd('a cluster of three', () => {
  let servers: readonly EtcdServer[]
  beforeAll(async () => {
    servers = await startCluster(['a', 'b', 'c'])
  })
  afterAll(() => Promise.all(servers.map((server) => server[Symbol.asyncDispose]())))

  it('goes on without its leader: reads, writes, watches and leases', async () => {
    const leader = await leaderOf(servers)
    // The leader is asked first, so that everything has to move.
    const endpoints = [leader, ...servers.filter((server) => server !== leader)].map(({ endpoint }) => endpoint)
    await using store = await openEtcdStore({ endpoints })
    const lease = await store.lease(3_000)
    await store.put('bound', bytes('1'), { lease: lease.id })
    const changes = store.watch('a/')[Symbol.asyncIterator]()
    const versions = [await store.put('a/1', bytes('1'))]
    const seen = [(await changes.next()).value as { revision: number }]
    await leader.kill()
    // A write sent while the others believe in the dead leader has an unknown outcome. A read waits for the new one.
    expect(await store.find('bound')).toBeDefined()
    for (let round = 0; round < 5; round++) versions.push(await store.put('a/1', bytes(`again ${round}`)))
    while (seen.length < versions.length) seen.push((await changes.next()).value as { revision: number })

    expect(seen.map(({ revision }) => revision)).toEqual(versions)
    expect(await store.get('a/1')).toMatchObject({ version: versions.at(-1) })
    expect(await store.find('bound')).toBeDefined()
    expect(lease.lost.aborted).toBe(false)
  })
})

async function leaderOf(servers: readonly EtcdServer[]): Promise<EtcdServer> {
  for (const server of servers) {
    const { header, leader } = await askEtcd(server.endpoint, 'maintenance/status', {})
    if ((header as { member_id: string }).member_id === leader) return server
  }
  throw new Error('no server is the leader')
}
