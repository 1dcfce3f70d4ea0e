import { afterAll, beforeAll, expect, it } from 'vitest'
import { openEtcdStore, type EtcdStoreOptions } from '../src/index.ts'
import { askEtcd } from './ask-etcd.ts'
import { createAuthority, type Authority, type Certificate } from './certificates.ts'
import { bytes, hasCode } from './expectations.ts'
import { describeEtcd, startEtcd, type EtcdServer } from './etcd-server.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** Tokens live for a second only, so that they expire within a test. */
const SHORT_LIVED = ['--auth-token-ttl', '1', '--bcrypt-cost', '4']

describeEtcd('etcd with authentication', () => {
  let server: EtcdServer
  const alice = { username: 'alice', password: 'secret of alice' }
  const open = (options: Partial<EtcdStoreOptions>): ReturnType<typeof openEtcdStore> =>
    openEtcdStore({ endpoints: [server.endpoint], prefix: 'alice/', ...options })

  beforeAll(async () => {
    server = await startEtcd({ args: SHORT_LIVED })
    const ask = (path: string, body: object): Promise<unknown> => askEtcd(server.endpoint, path, body)
    await ask('auth/user/add', { name: 'root', password: 'secret of root' })
    await ask('auth/role/add', { name: 'root' })
    await ask('auth/user/grant', { user: 'root', role: 'root' })
    await ask('auth/user/add', { name: alice.username, password: alice.password })
    await ask('auth/role/add', { name: 'alice' })
    const perm = { permType: 'READWRITE', key: base64('alice/'), range_end: base64('alice0') }
    await ask('auth/role/grant', { name: 'alice', perm })
    await ask('auth/user/grant', { user: alice.username, role: 'alice' })
    await ask('auth/enable', {})
  })
  afterAll(() => server[Symbol.asyncDispose]())

  it('is used with a name and a password, below a prefix that is the user’s', async () => {
    await using store = await open({ credentials: alice })
    const changes = store.watch('')[Symbol.asyncIterator]()
    const version = await store.put('a', bytes('1'))

    expect((await changes.next()).value).toMatchObject({ revision: version })
    expect((await store.list('')).entries).toMatchObject([{ key: 'a', version }])
  })

  it('is used on when the token has expired, by calls, watches and leases', async () => {
    await using store = await open({ credentials: alice })
    const lease = await store.lease(2_000)
    await store.put('bound', bytes('1'), { lease: lease.id })
    await new Promise((resolve) => setTimeout(resolve, 2_200))
    const changes = store.watch('late')[Symbol.asyncIterator]()
    const writes = Array.from({ length: 10 }, (_, number) => store.put(`late/${number}`, bytes('1')))

    await changes.next()
    await Promise.all(writes)
    expect(lease.lost.aborted).toBe(false)
    expect(await store.find('bound')).toBeDefined()
  })

  it.each([
    ['no name', {}],
    ['a wrong password', { credentials: { ...alice, password: 'guess' } }],
    ['an unknown name', { credentials: { ...alice, username: 'mallory' } }],
    ['a prefix that is somebody else’s', { credentials: alice, prefix: 'bob/' }],
  ])('is closed to %s', async (_what, options) => {
    await expect(open(options)).rejects.toThrow(hasCode('ERR_ETCD_ACCESS_DENIED', { kind: 'forbidden' }))
  })

  it('is not told from errors what the password was', async () => {
    const error = await open({ credentials: { ...alice, username: 'mallory' } }).catch((reason: unknown) => reason)

    expect(JSON.stringify(error) + String(error)).not.toContain(alice.password)
  })
})

describeEtcd('etcd with TLS', () => {
  let authority: Authority
  let server: EtcdServer
  let client: Certificate
  const open = (tls: EtcdStoreOptions['tls']): ReturnType<typeof openEtcdStore> =>
    openEtcdStore({ endpoints: [server.endpoint], tls, requestTimeoutMs: 400 })

  beforeAll(async () => {
    authority = createAuthority()
    client = authority.issue('client')
    server = await startEtcd({ tls: { ...authority.issue('etcd.test').paths, clientCa: authority.path } })
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    authority[Symbol.dispose]()
  })

  it('is used with an authority, a certificate and the name that the server’s has', async () => {
    const { cert, key } = client
    await using store = await open({ ca: authority.pem, cert, key, serverName: 'etcd.test' })
    const changes = store.watch('')[Symbol.asyncIterator]()
    const version = await store.put('a', bytes('1'))

    expect((await changes.next()).value).toMatchObject({ revision: version })
  })

  it.each([
    ['its authority is not known', (): EtcdStoreOptions['tls'] => ({ serverName: 'etcd.test' })],
    ['it has another name', (): EtcdStoreOptions['tls'] => ({ ca: authority.pem, serverName: 'other.test' })],
    ['it asks for a certificate', (): EtcdStoreOptions['tls'] => ({ ca: authority.pem, serverName: 'etcd.test' })],
  ])('is not used when %s', async (_why, tls) => {
    await expect(open(tls())).rejects.toThrow(hasCode('ERR_STORE_UNAVAILABLE', { outcome: 'none' }))
  })
})

describeEtcd('etcd without authentication', () => {
  it('is used by those who have a name and a password as well', async () => {
    await using server = await startEtcd()
    await using store = await openEtcdStore({
      endpoints: [server.endpoint],
      credentials: { username: 'alice', password: 'secret' },
    })

    expect(await store.put('a', bytes('1'))).toBeGreaterThan(0)
  })
})
