import type { IpamDriver } from '@net/ipamapi'
import type { RunningPlugin } from '@net/plugins'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { defaultIpam, nullIpam, remoteIpam, serveIpam } from '../src/index.ts'

const code = (name: string): object => expect.objectContaining({ code: name }) as object

let folder: string
let socketPath: string
let ipam: IpamDriver
let plugin: RunningPlugin
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'net-ipam-'))
  socketPath = join(folder, 'plugin.sock')
  ipam = defaultIpam()
  plugin = await serveIpam(ipam, { path: socketPath, maxRequestBytes: 10_000 })
})
afterEach(async () => {
  await plugin.close()
  await rm(folder, { recursive: true })
})

/** What a plugin answers to a call as Docker makes it. */
async function ask(method: string, body = ''): Promise<{ status: number | undefined; answer: unknown }> {
  const outgoing = request({ socketPath, path: `/${method}`, method: 'POST', agent: false }).end(body)
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  const answer = await text(response)
  return { status: response.statusCode, answer: answer.startsWith('{') ? (JSON.parse(answer) as unknown) : answer }
}

describe('an address manager that is served', () => {
  it('answers what the protocol has', async () => {
    expect(await ask('Plugin.Activate')).toEqual({ status: 200, answer: { Implements: ['IpamDriver'] } })
    expect((await ask('IpamDriver.GetCapabilities')).answer).toEqual({
      RequiresMACAddress: false,
      RequiresRequestReplay: true,
    })
    expect((await ask('IpamDriver.GetDefaultAddressSpaces')).answer).toEqual({
      LocalDefaultAddressSpace: 'LocalDefault',
      GlobalDefaultAddressSpace: 'GlobalDefault',
    })
    const pool = '{"AddressSpace":"LocalDefault","Pool":"","SubPool":"","Options":null,"V6":false}'
    expect((await ask('IpamDriver.RequestPool', pool)).answer).toEqual({
      PoolID: 'LocalDefault/172.17.0.0/16',
      Pool: '172.17.0.0/16',
      Data: {},
    })
    const address =
      '{"PoolID":"LocalDefault/172.17.0.0/16","Address":"","Options":{"RequestAddressType":"com.docker.network.gateway"}}'
    expect((await ask('IpamDriver.RequestAddress', address)).answer).toEqual({ Address: '172.17.0.1/16', Data: {} })
    const release = '{"PoolID":"LocalDefault/172.17.0.0/16","Address":"172.17.0.1"}'
    expect((await ask('IpamDriver.ReleaseAddress', release)).answer).toEqual({})
    expect((await ask('IpamDriver.ReleasePool', '{"PoolID":"LocalDefault/172.17.0.0/16"}')).answer).toEqual({})
  })

  it('gives addresses in a circle, and an owner his again', async () => {
    await ipam.requestPool({ addressSpace: 'LocalDefault', pool: '10.0.0.0/8' })
    const of = async (options: object): Promise<unknown> =>
      (await ask('IpamDriver.RequestAddress', JSON.stringify({ PoolID: 'LocalDefault/10.0.0.0/8', Options: options })))
        .answer
    const serial = { 'com.docker.network.ipam.serial': 'true' }

    expect(await of(serial)).toMatchObject({ Address: '10.0.0.1/8' })
    await ipam.releaseAddress('LocalDefault/10.0.0.0/8', '10.0.0.1')
    expect(await of(serial)).toMatchObject({ Address: '10.0.0.2/8' })
    expect(await of({ 'net.ipam.owner': 'me' })).toEqual(await of({ 'net.ipam.owner': 'me' }))
  })

  it('says no in words, and by its code to those who know it', async () => {
    expect(await ask('IpamDriver.ReleasePool', '{"PoolID":"nothing"}')).toEqual({
      status: 200,
      answer: { Error: 'no such address pool: "nothing"', Code: 'ERR_NO_SUCH_POOL' },
    })
  })

  it.each([
    ['a call that there is not', 'IpamDriver.Destroy', '{}', 404],
    ['no JSON', 'IpamDriver.ReleasePool', '{', 400],
    ['no object', 'IpamDriver.ReleasePool', '[]', 400],
  ])('refuses %s', async (_, method, body, status) => {
    expect(await ask(method, body)).toMatchObject({ status, answer: { Err: expect.any(String) as string } })
  })

  it.each(['{"PoolID":7}', '{"PoolID":"p","Options":[]}', '{"PoolID":"p","Options":{"a":1}}'])(
    'refuses %s',
    async (body) => {
      expect((await ask('IpamDriver.RequestAddress', body)).answer).toMatchObject({ Error: /invalid plugin request/ })
    },
  )

  it('does not read a request to its end when it has none', async () => {
    const outgoing = request({ socketPath, path: '/IpamDriver.ReleasePool', method: 'POST', agent: false })
    outgoing.on('error', () => undefined)
    const closed = new Promise((resolve) => outgoing.once('close', resolve))
    const pour = (): void => {
      while (outgoing.write(' '.repeat(5_000)));
    }
    outgoing.on('drain', pour)
    pour()

    await closed
    expect((await ask('Plugin.Activate')).status).toBe(200)
  })

  it('takes back what it gave to somebody who had gone before he heard of it', async () => {
    let answer = (): void => undefined
    const asked = new Promise<void>((resolve) => {
      const slow: IpamDriver = {
        ...ipam,
        requestAddress: async (...args) => {
          resolve()
          await new Promise<void>((go) => (answer = go))
          return ipam.requestAddress(...(args.slice(0, 2) as [string]))
        },
        releaseAddress: async (...args) => {
          await ipam.releaseAddress(...args)
          released(args[1])
        },
      }
      void plugin.close().then(async () => {
        plugin = await serveIpam(slow, { path: socketPath })
        outgoing = request({ socketPath, path: '/IpamDriver.RequestAddress', method: 'POST', agent: false })
        outgoing.on('error', () => undefined)
        outgoing.end('{"PoolID":"LocalDefault/10.0.0.0/8"}')
      })
    })
    let outgoing: ReturnType<typeof request> | undefined
    let released: (address: string) => void
    const takenBack = new Promise<string>((resolve) => (released = resolve))
    await ipam.requestPool({ addressSpace: 'LocalDefault', pool: '10.0.0.0/8' })
    await asked

    outgoing?.destroy()
    // Another call passes behind it: the server knows by then.
    await ask('Plugin.Activate')
    answer()

    expect(await takenBack).toBe('10.0.0.1')
  })

  it('may be the null one, which has no addresses to give', async () => {
    await plugin.close()
    plugin = await serveIpam(nullIpam(), { path: socketPath })
    const remote = await remoteIpam({ name: 'none', address: plugin.address })
    const { id } = await remote.requestPool({ addressSpace: remote.addressSpaces.local })

    await expect(remote.requestAddress(id)).rejects.toThrow(code('ERR_NO_ADDRESS_RETURNED'))
  })
})

describe('the socket of a plugin', () => {
  it('is for the user of the process only, and goes with the plugin', async () => {
    expect((await stat(socketPath)).mode & 0o777).toBe(0o600)
    await plugin.close()
    await plugin.close()

    await expect(stat(socketPath)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('is not taken from a plugin that listens', async () => {
    await expect(serveIpam(ipam, { path: socketPath })).rejects.toThrow(code('ERR_PLUGIN_SOCKET'))
    expect((await ask('Plugin.Activate')).status).toBe(200)
  })

  it('is taken over from a process that died', async () => {
    const path = join(folder, 'left.sock')
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
    spawnSync(process.execPath, ['-e', script])
    expect((await stat(path)).isSocket()).toBe(true)

    await using next = await serveIpam(ipam, { path })
    expect(next.address).toBe(`unix://${path}`)
  })

  it('cannot be anywhere', async () => {
    await expect(serveIpam(ipam, { path: join(folder, 'nowhere/plugin.sock') })).rejects.toThrow(
      code('ERR_PLUGIN_SOCKET'),
    )
    await expect(serveIpam(ipam, {})).rejects.toThrow(code('ERR_INVALID_PLUGIN'))
    await expect(serveIpam(ipam, { path: socketPath, port: 1 })).rejects.toThrow(code('ERR_INVALID_PLUGIN'))
  })

  it('is closed to those who wait on it', async () => {
    const idle = connect(socketPath)
    await once(idle, 'connect')
    const closed = once(idle, 'close')
    await plugin.close()

    await closed
  })
})
