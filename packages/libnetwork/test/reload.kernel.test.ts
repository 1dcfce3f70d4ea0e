import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { defaultIpam, serveIpam } from '@net/ipam'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import type { RunningPlugin } from '@net/plugins'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type ControllerOptions } from '../src/index.ts'
import { fetchFrom, outputOf, plain, serve, spoiledDriver, StateFolder } from './lab.ts'

await enterFreshHost()

let folder: StateFolder
let net: Controller

const options = (): ControllerOptions => ({
  ...folder.places,
  drivers: [spoiledDriver({})],
  plugins: { socketFolders: [folder.path], specFolders: [], retryMs: 0 },
})
const open = async (): Promise<Controller> => {
  net = await openController(options())
  return net
}
beforeEach(async () => {
  folder = new StateFolder('reload')
  await open()
})
afterEach(async () => {
  await net.close()
  await folder.expectNothingLeft(options())
})

describeKernel('reloading the configuration', () => {
  it('changes defaults and pools for what is made from then on', async () => {
    const early = await net.createNetwork({ name: 'early' })
    await net.reload({
      ...{ defaultDriver: 'spoiled', defaultNetwork: 'late', dns: { timeoutMs: 1_000 } },
      pools: [{ base: '10.77.0.0/16', size: 24 }],
    })

    const late = await net.createNetwork({ name: 'late', ipv6: true })
    const { endpoint } = await net.attach({ endpoint: { name: 'e' }, sandbox: { containerId: 'c' } })

    expect([early.driver, late.driver]).toEqual(['bridge', 'spoiled'])
    expect(late.ipv4?.pool).toBe('10.77.0.0/24')
    expect(endpoint.networkId).toBe(late.id)
    // What is held is in the way, and is let go as before.
    await net.reload({
      pools: [
        { base: early.ipv4?.pool ?? '', size: 24 },
        { base: '10.78.0.0/16', size: 24 },
      ],
    })
    expect((await net.createNetwork({ name: 'third' })).ipv4?.pool).toBe('10.78.0.0/24')
    await early.delete()
    expect((await net.createNetwork({ name: 'fourth' })).ipv4?.pool).toBe('10.78.1.0/24')
  })

  it.each([
    [{ defaultDriver: 'config-only' }, 'ERR_INVALID_REQUEST'],
    [{ defaultDriver: 'spoiled', pools: [{ base: 'x', size: 24 }] }, 'ERR_INVALID_POOL'],
    [{ defaultDriver: 'spoiled', dns: { timeoutMs: -1 } }, 'ERR_INVALID_REQUEST'],
    [{ defaultDriver: 'spoiled', stateDirectory: '/tmp' }, 'ERR_INVALID_REQUEST'],
  ])('is all or nothing: %j', async (options, code) => {
    await expect(net.reload(options)).rejects.toMatchObject({ code })
    expect((await net.createNetwork({ name: 'x' })).driver).toBe('bridge')
  })
})

describeKernel('refreshing a sandbox', () => {
  it('gives it other names, hosts and servers, in the files that are mounted, and no other interfaces', async () => {
    const network = await net.createNetwork({ name: 'blue' })
    const web = await net.attach({
      network,
      endpoint: { name: 'web' },
      sandbox: { containerId: 'web', hostname: 'one', extraHosts: { printer: '192.0.2.9' } },
    })
    const other = await net.attach({ network, endpoint: { name: 'other' }, sandbox: { containerId: 'other' } })
    await using _server = await serve(web.sandbox, 'hello')
    const { hosts, resolvConf, hostname } = web.sandbox.files
    const inode = statSync(hosts).ino

    await web.sandbox.refresh({
      hostname: 'two',
      domainname: 'lab',
      extraHosts: { scanner: '192.0.2.8' },
      dns: { search: ['x.test'] },
    })

    expect(readFileSync(hosts, 'utf8')).toMatch(/192\.0\.2\.8\tscanner/)
    expect(readFileSync(hosts, 'utf8')).not.toMatch(/printer|one/)
    expect(readFileSync(hosts, 'utf8')).toContain(`${plain(web.endpoint.address)}\ttwo.lab two`)
    expect(readFileSync(resolvConf, 'utf8')).toMatch(/^search x\.test$/m)
    expect(readFileSync(hostname, 'utf8')).toBe('two\n')
    expect(statSync(hosts).ino).toBe(inode)
    expect(web.sandbox.hostname).toBe('two')
    expect(await fetchFrom(other.sandbox, 'http://two/')).toBe('hello')
    expect(await other.sandbox.resolveName('one')).toEqual([])
    expect(await outputOf(web.sandbox, 'getent', ['ahostsv4', 'other'])).toContain(plain(other.endpoint.address))
    expect((await net.describe()).differences).toEqual([])
  })

  it('lasts over a restart, and is the default again where nothing is said', async () => {
    await net.createSandbox({ containerId: 'web', hostname: 'one' })
    await net.getSandbox('web').refresh({ hostname: 'two' })
    await net.close()
    await open()
    expect(net.getSandbox('web').hostname).toBe('two')

    await net.getSandbox('web').refresh()
    expect(net.getSandbox('web').hostname).toBe('web')
    await expect(net.getSandbox('web').refresh({ hostname: 'no name' })).rejects.toMatchObject({
      code: 'ERR_INVALID_REQUEST',
    })
  })
})

describeKernel('address managers that are handed in', () => {
  const pools = [{ base: '10.77.0.0/16', size: 24 }]
  const refusal = (member: string): object => ({
    code: 'ERR_INVALID_REQUEST',
    message: expect.stringMatching(new RegExp(`^invalid (controller|configuration): ${member}: expected`)) as unknown,
  })

  it.each([['far', 'far'], [''], ['  '], [' far']])(
    'are refused where a name is not one of its own: %j',
    async (...names) => {
      const ipam = names.map((name) => ({ ...defaultIpam(), name }))

      await expect(openController({ ipam })).rejects.toMatchObject(refusal('ipam'))
    },
  )

  it('may take the place of the built-in one, whose pools are then nobody’s', async () => {
    const ipam = [defaultIpam({ pools })]
    await expect(openController({ ipam, pools })).rejects.toMatchObject(refusal('pools'))

    await using other = await openController({ ipam })
    expect(other.ipamDrivers()).toEqual(['default', 'null'])
    expect((await other.createNetwork({ name: 'one' })).ipv4?.pool).toBe('10.77.0.0/24')
    await expect(other.reload({ pools })).rejects.toMatchObject(refusal('pools'))
  })
})

describeKernel('an address manager that is a plugin', () => {
  let plugin: RunningPlugin
  const startPlugin = async (): Promise<void> => {
    const ipam = defaultIpam({ pools: [{ base: '10.88.0.0/16', size: 24 }] })
    // It remembers by itself what it gave.
    const remembering = { ...ipam, capabilities: { ...ipam.capabilities, requiresRequestReplay: false } }
    plugin = await serveIpam(remembering, { path: join(folder.path, 'far.sock') })
  }

  it('is found by its name when it is asked for first, and again after a restart', async () => {
    expect(net.ipamDrivers()).toEqual(['default', 'null'])
    await startPlugin()
    const [one, two] = await Promise.all(
      ['one', 'two'].map((name) => net.createNetwork({ name, ipam: { driver: 'far' } })),
    )
    const { endpoint } = await net.attach({ network: 'one', endpoint: { name: 'e' }, sandbox: { containerId: 'c' } })

    expect([one?.ipv4?.pool, two?.ipv4?.pool].sort()).toEqual(['10.88.0.0/24', '10.88.1.0/24'])
    expect(net.ipamDrivers()).toEqual(['default', 'null', 'far'])
    await net.close()
    await open()
    expect(net.getNetwork('one').endpoints()[0]?.address).toBe(endpoint.address)
    for (const network of net.networks()) await network.delete({ force: true })
    await plugin.close()
  })

  it('is gone, and keeps nobody from deleting what it gave', async () => {
    await startPlugin()
    const network = await net.createNetwork({ name: 'one', ipam: { driver: 'far' } })
    const { sandbox } = await net.attach({ network, endpoint: { name: 'web' }, sandbox: { containerId: 'web' } })
    for (const name of ['joined', 'idle']) await network.createEndpoint({ name })
    await network.getEndpoint('joined').join(await net.createSandbox({ containerId: 'joined' }))
    await plugin.close()

    await sandbox.delete()
    expect(network.endpoints().map(({ name }) => name)).toEqual(['joined', 'idle'])
    await network.delete({ force: true })
    expect([net.networks(), net.endpoints()]).toEqual([[], []])
    expect(net.getSandbox('joined').endpoints()).toEqual([])
    await net.createNetwork({ name: 'one' })
  })

  it('is said not to be there at once, and is found later', async () => {
    const create = () => net.createNetwork({ name: 'one', ipam: { driver: 'far' } })
    await expect(create()).rejects.toMatchObject({ code: 'ERR_NO_SUCH_IPAM_DRIVER', kind: 'not-found' })
    await startPlugin()
    expect((await create()).ipv4?.pool).toBe('10.88.0.0/24')
    await net.getNetwork('one').delete()
    await plugin.close()
  })

  it('gets the MAC address first, where it wants it', async () => {
    const asked: (string | undefined)[] = []
    const ipam = defaultIpam()
    await net.close()
    net = await openController({
      ipam: [
        {
          ...ipam,
          ...{ name: 'mac', capabilities: { ...ipam.capabilities, requiresMacAddress: true } },
          requestAddress: (pool, request, call) => {
            asked.push(request?.macAddress)
            return ipam.requestAddress(pool, request, call)
          },
        },
      ],
    })
    const network = await net.createNetwork({ name: 'one', ipam: { driver: 'mac' } })
    const endpoint = await network.createEndpoint({ name: 'e' })
    expect(asked).toEqual([undefined, endpoint.macAddress])
    expect(endpoint.macAddress).toMatch(/^.[26ae]:/)
  })
})
