import { describeIpamDriver } from '@net/ipamapi/testing'
import type { IpamDriver } from '@net/ipamapi'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { defaultIpam, remoteIpam, serveIpam } from '../src/index.ts'
import { createAuthority } from '../../datastore-etcd/test/certificates.ts'
import { startFalsePlugin, type FalsePlugin } from '../../plugins/test/false-plugin.ts'

const code = (name: string, rest: object = {}): object => expect.objectContaining({ code: name, ...rest }) as object

let folder: string
let socket: string
const opened: AsyncDisposable[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'net-ipam-'))
  socket = join(folder, 'plugin.sock')
})
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

describeIpamDriver('built-in, behind the remote protocol', async () => {
  const plugin = await serveIpam(defaultIpam(), { path: socket })
  opened.push(plugin)
  return remoteIpam({ name: 'test', address: plugin.address })
})

describeIpamDriver('built-in, behind the remote protocol on TCP', async () => {
  const plugin = await serveIpam(defaultIpam(), { port: 0 })
  opened.push(plugin)
  return remoteIpam({ name: 'test', address: plugin.address })
})

describe('a plugin', () => {
  let plugin: FalsePlugin
  beforeEach(async () => {
    opened.push((plugin = await startFalsePlugin(socket)))
  })
  const open = (): Promise<IpamDriver> =>
    remoteIpam({ name: 'test', address: `unix://${socket}`, timeoutMs: 300, retryMs: 0, maxReplyBytes: 10_000 })
  const lastBody = (): string | undefined => plugin.asked.at(-1)?.body

  it('is activated, and asked for its address spaces and capabilities', async () => {
    const ipam = await open()

    expect(ipam.name).toBe('test')
    expect(ipam.addressSpaces).toEqual({ local: 'white', global: 'blue' })
    expect(ipam.capabilities).toEqual({ requiresMacAddress: true, requiresRequestReplay: false })
    expect(plugin.asked[0]).toEqual({
      path: '/Plugin.Activate',
      accept: 'application/vnd.docker.plugins.v1.2+json',
      body: '',
    })
    expect(
      plugin.asked
        .slice(1)
        .map(({ path, body }) => path + body)
        .sort(),
    ).toEqual(['/IpamDriver.GetCapabilities', '/IpamDriver.GetDefaultAddressSpaces'])
  })

  it('that says nothing of its capabilities has none', async () => {
    delete plugin.answers['/IpamDriver.GetCapabilities']

    expect((await open()).capabilities).toEqual({ requiresMacAddress: false, requiresRequestReplay: false })
  })

  it.each([
    ['implements something else', { Implements: ['NetworkDriver'] }],
    ['implements nothing', {}],
    ['has a text for a list', { Implements: 'IpamDriver' }],
  ])('that %s is none', async (_, answer) => {
    plugin.answers['/Plugin.Activate'] = answer

    await expect(open()).rejects.toThrow(code('ERR_PLUGIN_REPLY'))
  })

  it('is asked for a pool with all fields of the protocol', async () => {
    const ipam = await open()
    plugin.answers['/IpamDriver.RequestPool'] = {
      PoolID: 'white/172.20.0.0/16/172.20.3.0/24',
      Pool: '172.20.0.0/16',
      Data: { DNS: '8.8.8.8' },
    }
    const taken = await ipam.requestPool({
      addressSpace: 'white',
      pool: '172.20.0.0/16',
      subPool: '172.20.3.0/24',
      options: { a: 'b' },
    })

    expect(taken).toEqual({
      id: 'white/172.20.0.0/16/172.20.3.0/24',
      pool: '172.20.0.0/16',
      data: { DNS: '8.8.8.8' },
    })
    expect(lastBody()).toBe(
      '{"AddressSpace":"white","Pool":"172.20.0.0/16","SubPool":"172.20.3.0/24","Options":{"a":"b"},"V6":false}',
    )
    await ipam.requestPool({ addressSpace: 'white', family: 6 })
    expect(lastBody()).toBe('{"AddressSpace":"white","Pool":"","SubPool":"","Options":null,"V6":true}')
  })

  it('is asked for an address with all fields of the protocol', async () => {
    const ipam = await open()
    plugin.answers['/IpamDriver.RequestAddress'] = { Address: '172.20.0.34/16', Data: null }

    expect(await ipam.requestAddress('white/172.20.0.0/16')).toEqual({ address: '172.20.0.34/16', data: {} })
    expect(lastBody()).toBe('{"PoolID":"white/172.20.0.0/16","Address":"","Options":null}')
    await ipam.requestAddress('p', {
      address: '172.20.0.34',
      serial: true,
      macAddress: '02:42:ac:14:00:22',
      purpose: 'gateway',
      owner: 'me',
      options: { a: 'b' },
    })
    expect(JSON.parse(lastBody() ?? '')).toEqual({
      PoolID: 'p',
      Address: '172.20.0.34',
      Options: {
        a: 'b',
        'com.docker.network.ipam.serial': 'true',
        'com.docker.network.endpoint.macaddress': '02:42:ac:14:00:22',
        RequestAddressType: 'com.docker.network.gateway',
        'net.ipam.owner': 'me',
      },
    })
  })

  it('is told what is let go', async () => {
    const ipam = await open()
    plugin.answers['/IpamDriver.ReleaseAddress'] = {}
    plugin.answers['/IpamDriver.ReleasePool'] = 'null'
    await ipam.releaseAddress('p', '172.20.0.34')
    expect(lastBody()).toBe('{"PoolID":"p","Address":"172.20.0.34"}')
    await ipam.releasePool('p')
    expect(lastBody()).toBe('{"PoolID":"p"}')
  })

  it('may spell its fields in any case, as Go reads them, and have others', async () => {
    const ipam = await open()
    plugin.answers['/IpamDriver.RequestPool'] = { poolid: '7', POOL: '10.0.0.0/8', more: 1 }

    expect(await ipam.requestPool({ addressSpace: 'white' })).toEqual({ id: '7', pool: '10.0.0.0/8', data: {} })
  })

  it('is asked again, holding what is in the way, until a pool is clear of what is excluded', async () => {
    const ipam = await open()
    let next = 16
    plugin.answers['/IpamDriver.RequestPool'] = (response: ServerResponse) => {
      next++
      response.end(JSON.stringify({ PoolID: `p${next}`, Pool: `172.${next}.0.0/16` }))
    }
    plugin.answers['/IpamDriver.ReleasePool'] = {}
    const pool = await ipam.requestPool({ addressSpace: 'white', exclude: ['172.17.0.0/16', '172.18.4.0/24'] })

    expect(pool.id).toBe('p19')
    expect(plugin.asked.slice(-2).map(({ body }) => body)).toEqual(['{"PoolID":"p17"}', '{"PoolID":"p18"}'])
    expect((await ipam.requestPool({ addressSpace: 'blue', exclude: ['172.20.0.0/16'] })).id).toBe('p20')
  })

  it('that has but one pool, which is in the way, is not asked for ever', async () => {
    const ipam = await open()
    plugin.answers['/IpamDriver.RequestPool'] = { PoolID: 'p', Pool: '172.17.0.0/16' }
    plugin.answers['/IpamDriver.ReleasePool'] = {}

    await expect(ipam.requestPool({ addressSpace: 'white', exclude: ['172.17.0.0/16'] })).rejects.toThrow(
      code('ERR_PLUGIN_REPLY'),
    )
    expect(plugin.asked.filter(({ path }) => path.endsWith('ReleasePool'))).toHaveLength(1)
  })

  it.each([
    ['an error in its answer', { Error: 'no more' }, 'remote: no more'],
    ['an error and a code that is none of ours', { Error: 'no more', Code: 'ERR_CLOSED' }, 'remote: no more'],
    [
      'a status and words',
      (response: ServerResponse) => response.writeHead(500).end('{"Err":"broken"}'),
      'remote: broken',
    ],
    [
      'a status and a page',
      (response: ServerResponse) => response.writeHead(502).end('bad gateway\n'),
      'remote: bad gateway',
    ],
    ['a status and nothing', (response: ServerResponse) => response.writeHead(503).end(), 'remote: HTTP status 503'],
  ])('refuses with %s', async (_, answer, message) => {
    const ipam = await open()
    plugin.answers['/IpamDriver.RequestPool'] = answer

    const refused = ipam.requestPool({ addressSpace: 'white' })

    await expect(refused).rejects.toThrow(code('ERR_PLUGIN_REFUSED', { kind: 'forbidden' }))
    await expect(refused).rejects.toThrow(message)
  })

  it('refuses with a code of address managers when it has one', async () => {
    const ipam = await open()
    plugin.answers['/IpamDriver.RequestAddress'] = { Error: 'full', Code: 'ERR_NO_ADDRESS_AVAILABLE' }

    await expect(ipam.requestAddress('p')).rejects.toThrow(code('ERR_NO_ADDRESS_AVAILABLE', { kind: 'no-service' }))
  })

  it.each([
    ['no JSON', '<html>'],
    ['nothing', ''],
    ['a list', '[]'],
    ['a text', '"10.0.0.0/8"'],
    ['no pool', { PoolID: 'p' }],
    ['no id', { Pool: '10.0.0.0/8' }],
    ['an id that is a number', { PoolID: 7, Pool: '10.0.0.0/8' }],
    ['a pool without length', { PoolID: 'p', Pool: '10.0.0.0' }],
    ['a pool that only looks like one', { PoolID: 'p', Pool: '010.0.0.0/8' }],
    ['a pool that is an object', { PoolID: 'p', Pool: {} }],
    ['data that is a list', { PoolID: 'p', Pool: '10.0.0.0/8', Data: ['x'] }],
    ['data that is no text', { PoolID: 'p', Pool: '10.0.0.0/8', Data: { x: {} } }],
    ['an error that is no text', { Error: {} }],
    ['more than anybody reads', ' '.repeat(20_000)],
  ])('is not believed when it answers %s', async (_, answer) => {
    const ipam = await open()
    plugin.answers['/IpamDriver.RequestPool'] = answer

    await expect(ipam.requestPool({ addressSpace: 'white' })).rejects.toThrow(code('ERR_PLUGIN_REPLY'))
  })

  it('that gives no address, or another one than it was asked for, has given none', async () => {
    const ipam = await open()
    plugin.answers['/IpamDriver.RequestAddress'] = { Address: '' }
    await expect(ipam.requestAddress('p')).rejects.toThrow(code('ERR_NO_ADDRESS_RETURNED', { kind: 'no-service' }))

    plugin.answers['/IpamDriver.RequestAddress'] = { Address: '10.0.0.9/8' }
    await expect(ipam.requestAddress('p', { address: '10.0.0.7' })).rejects.toThrow(code('ERR_PLUGIN_REPLY'))
    expect(plugin.asked.at(-1)).toMatchObject({
      path: '/IpamDriver.ReleaseAddress',
      body: '{"PoolID":"p","Address":"10.0.0.9"}',
    })
  })

  it.each([
    ['says nothing', () => undefined],
    ['stops in the middle', (response: ServerResponse) => response.write('{')],
    ['hangs up', (response: ServerResponse) => response.destroy()],
  ])('that %s may have done what it was asked', async (_, answer) => {
    const ipam = await open()
    plugin.answers['/IpamDriver.RequestAddress'] = answer

    await expect(ipam.requestAddress('p')).rejects.toThrow(
      code('ERR_PLUGIN_UNAVAILABLE', { kind: 'retry', outcome: 'unknown' }),
    )
    expect(plugin.asked.filter(({ path }) => path.endsWith('RequestAddress'))).toHaveLength(1)
  })

  it('is not waited for any longer when the call is given up', async () => {
    const ipam = await open()
    const controller = new AbortController()
    plugin.answers['/IpamDriver.RequestAddress'] = () => {
      controller.abort(new Error('enough'))
    }

    await expect(ipam.requestAddress('p', {}, { signal: controller.signal })).rejects.toThrow('enough')
  })

  it('that has gone can be told from one that was asked', async () => {
    const ipam = await open()
    await plugin[Symbol.asyncDispose]()
    opened.pop()

    await expect(ipam.requestAddress('p')).rejects.toThrow(code('ERR_PLUGIN_UNAVAILABLE', { outcome: 'none' }))
  })
})

describe('a plugin is found', () => {
  const find = (name = 'mine'): Promise<IpamDriver> =>
    remoteIpam({ name, socketFolders: [join(folder, 'run')], specFolders: [join(folder, 'etc')], retryMs: 0 })
  beforeEach(async () => {
    for (const path of ['run/mine', 'etc/mine']) await mkdir(join(folder, path), { recursive: true })
  })

  it.each(['run/mine.sock', 'run/mine/mine.sock'])('by its socket %s', async (path) => {
    opened.push(await serveIpam(defaultIpam(), { path: join(folder, path) }))

    expect((await find()).addressSpaces.local).toBe('LocalDefault')
  })

  it.each([
    ['etc/mine.spec', (address: string) => `${address}\n`],
    ['etc/mine/mine.spec', (address: string) => address.replace('tcp:', 'http:')],
    ['etc/mine.json', (address: string) => JSON.stringify({ Name: 'mine', Addr: address, TLSConfig: null })],
    ['etc/mine/mine.json', (address: string) => JSON.stringify({ Addr: address })],
  ])('by the file %s', async (path, text) => {
    const plugin = await serveIpam(defaultIpam(), { port: 0 })
    opened.push(plugin)
    await writeFile(join(folder, path), text(plugin.address))

    expect((await find()).addressSpaces.local).toBe('LocalDefault')
  })

  it('by its socket before any file', async () => {
    opened.push(await serveIpam(defaultIpam(), { path: join(folder, 'run/mine.sock') }))
    await writeFile(join(folder, 'etc/mine.spec'), 'unix:///nowhere')

    expect((await find()).name).toBe('mine')
  })

  it('with the certificates that its file names, and with no others', async () => {
    using authority = createAuthority()
    using stranger = createAuthority()
    const [server, client] = [authority.issue('localhost'), authority.issue('client')]
    const { port, ...plugin } = await startFalsePlugin(0, { ...server, ca: authority.pem, requestCert: true })
    opened.push(plugin)
    const describeTls = (tls: object): Promise<void> =>
      writeFile(join(folder, 'etc/mine.json'), JSON.stringify({ Addr: `tcp://localhost:${port}`, TLSConfig: tls }))

    const own = { CAFile: authority.path, CertFile: client.paths.cert, KeyFile: client.paths.key }
    await describeTls({ InsecureSkipVerify: false, ...own })
    expect((await find()).addressSpaces.local).toBe('white')

    await describeTls({ ...own, CAFile: stranger.path })
    await expect(find()).rejects.toThrow(code('ERR_PLUGIN_UNAVAILABLE', { outcome: 'none' }))
    await describeTls({ ...own, CAFile: '' })
    expect((await find()).addressSpaces.local).toBe('white')
    await describeTls({ CAFile: authority.path })
    await expect(find()).rejects.toThrow(code('ERR_PLUGIN_UNAVAILABLE'))
  })

  it.each([
    ['mine.spec', 'localhost:80'],
    ['mine.spec', 'ftp://localhost'],
    ['mine.spec', 'unix://relative'],
    ['mine.spec', 'http://localhost/path'],
    ['mine.json', '{'],
    ['mine.json', '[]'],
    ['mine.json', '{"Addr":7}'],
    ['mine.json', '{"Addr":"tcp://localhost:1","TLSConfig":{"CAFile":"/nowhere"}}'],
  ])('not by a file %s that says %s', async (path, text) => {
    await writeFile(join(folder, 'etc', path), text)

    await expect(find()).rejects.toThrow(code('ERR_INVALID_PLUGIN', { kind: 'bad-request' }))
  })

  it.each(['', '.', '..', 'a/b', '../mine', 'a\0b'])('not by the name %j', async (name) => {
    await expect(find(name)).rejects.toThrow(code('ERR_INVALID_PLUGIN'))
  })

  it('not where there is none', async () => {
    await writeFile(join(folder, 'run/other.sock'), '')

    await expect(find('other')).rejects.toThrow(code('ERR_PLUGIN_NOT_FOUND', { kind: 'not-found' }))
  })

  it('when it comes a little later', async () => {
    const path = join(folder, 'run/mine.sock')
    const opening = remoteIpam({ name: 'mine', socketFolders: [join(folder, 'run')], specFolders: [] })
    opened.push(await serveIpam(defaultIpam(), { path }))

    expect((await opening).name).toBe('mine')
  })

  it.each([{ timeoutMs: 0 }, { retryMs: -1 }, { maxReplyBytes: 0.5 }, { timeoutMs: 2 ** 31 }])(
    'not with %j',
    async (limits) => {
      await expect(remoteIpam({ name: 'mine', ...limits })).rejects.toThrow(code('ERR_INVALID_PLUGIN'))
    },
  )
})
