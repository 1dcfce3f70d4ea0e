import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeKernel, enterFreshHost, ip, ipIn } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  openController,
  type Controller,
  type ControllerEvent,
  type ControllerOptions,
  type Sandbox,
} from '../../src/index.ts'
import { fetchFrom, plain, serve, traces, type Traces } from '../lab.ts'
import { startBridgePlugin, startProgram, type PluginProcess } from './plugin-lab.ts'

await enterFreshHost()

const code = (name: string): object => expect.objectContaining({ code: name }) as object

let before: Traces
let folder: string
let plugin: PluginProcess
let net: Controller

const open = async (options: ControllerOptions = {}): Promise<Controller> => {
  net = await openController({
    stateDirectory: join(folder, 'state'),
    runtimeDirectory: join(folder, 'run'),
    plugins: { socketFolders: [folder], specFolders: [], timeoutMs: 2000, retryMs: 0 },
    ...options,
  })
  return net
}

beforeEach(async () => {
  before = traces()
  folder = mkdtempSync(join(tmpdir(), 'plugins-'))
  plugin = await startBridgePlugin(folder)
  await open()
})
afterEach(async () => {
  await net.close()
  const last = await open({ onClose: 'delete' })
  await last.close()
  await plugin[Symbol.asyncDispose]()
  expect(traces()).toEqual(before)
  expect(existsSync(join(folder, 'run')) ? readdirSync(join(folder, 'run')) : []).toEqual([])
  rmSync(folder, { recursive: true })
})

const calls = (): string[] => plugin.told().map((line) => line.split(' ')[0] ?? '')

function pings({ key }: Sandbox, cidr: string | undefined): boolean {
  const args = [`--net=${key}`, 'ping', '-c', '1', '-W', '2', plain(cidr)]
  return spawnSync('nsenter', args, { stdio: 'ignore' }).status === 0
}

/** What the controller said when it was opened. */
async function said(controller: Controller): Promise<ControllerEvent[]> {
  const signal = AbortSignal.timeout(50)
  const events: ControllerEvent[] = []
  for await (const event of controller.events({ after: 0, signal })) events.push(event)
  return events
}

describeKernel('a network of a plugin', () => {
  it('has sandboxes that reach each other by links that the plugin made', async () => {
    const network = await net.createNetwork({ name: 'plugged', driver: 'plug', ipv6: true, labels: { a: 'b' } })
    const one = await net.attach({ network, endpoint: { name: 'one' }, sandbox: { containerId: 'one' } })
    const two = await net.attach({ network, endpoint: { name: 'two' }, sandbox: { containerId: 'two' } })

    expect(net.drivers()).toEqual(['bridge', 'plug'])
    expect(one.endpoint.interfaceName).toBe('plug0')
    expect(one.endpoint.macAddress).toBe(`02:50:00:00:00:${one.endpoint.id.slice(0, 2)}`)
    expect(one.endpoint.gateway).toBe(network.ipv4?.gateway.replace(/\/.*/, ''))
    expect(await one.endpoint.driverInfo()).toEqual({
      'com.docker.network.endpoint.macaddress': one.endpoint.macAddress,
      'com.example.address': one.endpoint.address,
      'com.example.port': `pn${one.endpoint.id.slice(0, 10)}`,
    })
    expect(ipIn(one.sandbox.key, 'route', 'show')).toMatchObject(
      expect.arrayContaining([
        expect.objectContaining({ dst: 'default', gateway: one.endpoint.gateway, dev: 'plug0' }),
        expect.objectContaining({ dst: '198.51.100.0/24', dev: 'plug0' }),
      ]) as never,
    )
    expect(pings(one.sandbox, two.endpoint.address)).toBe(true)
    expect(pings(two.sandbox, one.endpoint.address6)).toBe(true)
    await using _server = await serve(one.sandbox, 'hello')
    expect(await fetchFrom(two.sandbox, 'http://one/')).toBe('hello')
    const { differences, endpoints } = await net.describe()
    expect(differences).toEqual([])
    expect(endpoints.find(({ id }) => id === one.endpoint.id)).toMatchObject({
      joined: { interface: { hostName: `pf${one.endpoint.id.slice(0, 10)}`, prefix: 'plug' } },
    })

    await one.endpoint.leave(one.sandbox)
    expect(ipIn(one.sandbox.key, 'link', 'show')).toMatchObject([{ ifname: 'lo' }])
    await one.endpoint.join(one.sandbox)
    expect(pings(one.sandbox, two.endpoint.address)).toBe(true)

    await one.detach()
    await two.detach()
    await network.delete()
    expect(traces().links).toEqual(before.links)
    expect(plugin.told()[0]).toBe(`createNetwork ${network.id} {"a":"b"}`)
    expect(calls().filter((name) => name === 'no-such-link')).toEqual([])
    const of = (id: string): string[] =>
      plugin.told().flatMap((line) => (line.split(' ')[1] === id ? [line.split(' ')[0] ?? ''] : []))
    const round = ['join', 'gateway', 'no-gateway', 'leave']
    expect(of(one.endpoint.id)).toEqual(['createEndpoint', ...round, ...round, 'deleteEndpoint'])
    expect(of(network.id)).toEqual(['createNetwork', 'deleteNetwork'])
  })

  it('has the addresses that the plugin chooses, where its address manager has none', async () => {
    const network = await net.createNetwork({ name: 'dhcp', driver: 'plug', ipv6: true, ipam: { driver: 'null' } })
    const one = await net.attach({ network, endpoint: { name: 'one' }, sandbox: { containerId: 'one' } })
    const two = await net.attach({ network, endpoint: { name: 'two' }, sandbox: { containerId: 'two' } })

    expect(plugin.told().slice(1, 3)).toEqual(['addressless null 0.0.0.0/0', 'addressless null ::/0'])
    expect([network.ipam, network.ipv4, network.ipv6]).toEqual(['null', undefined, undefined])
    expect([two.endpoint.address, two.endpoint.address6]).toEqual(['192.168.99.3/24', 'fd99::3/64'])
    for (const address of [two.endpoint.address, two.endpoint.address6]) expect(pings(one.sandbox, address)).toBe(true)
    await using _server = await serve(two.sandbox, 'hello')
    expect(await fetchFrom(one.sandbox, 'http://two/')).toBe('hello')

    await net.close()
    await open()
    expect((await said(net)).at(-1)).toMatchObject({ kind: 'recovered', networks: 1, endpoints: 2, refused: [] })
    expect((await net.describe()).differences).toEqual([])
    expect(await fetchFrom(net.getSandbox('one'), 'http://two/')).toBe('hello')

    const asked = net.createNetwork({
      ...{ name: 'x', driver: 'plug' },
      ipam: { driver: 'null', pools: [{ pool: '10.0.0.0/8' }] },
    })
    await expect(asked).rejects.toMatchObject({ code: 'ERR_INVALID_REQUEST' })
    await net.getNetwork('dhcp').delete({ force: true })
  })

  it('hears of the labels of a sandbox that joins', async () => {
    const network = await net.createNetwork({ name: 'plugged', driver: 'plug' })
    const { endpoint, sandbox } = await net.attach({
      ...{ network, endpoint: { name: 'one' } },
      sandbox: { containerId: 'one', labels: { tier: 'web' } },
    })

    expect(plugin.told()).toContain(`join ${endpoint.id} ${sandbox.key} {"tier":"web"}`)
  })

  it('is what networks are that name no driver, where the plugin is the default, chosen on opening or later', async () => {
    await net.close()
    await open({ defaultDriver: 'plug' })
    expect((await net.createNetwork({ name: 'one' })).driver).toBe('plug')

    await net.reload({ defaultDriver: 'bridge' })
    await net.reload({ defaultDriver: 'plug' })
    expect((await net.createNetwork({ name: 'two' })).driver).toBe('plug')
  })

  it('is looked for once by those who ask at the same time', async () => {
    const names = ['a', 'b', 'c']
    await Promise.all(names.map((name) => net.createNetwork({ name, driver: 'plug' })))

    expect(net.drivers()).toEqual(['bridge', 'plug'])
    for (const name of names) await net.getNetwork(name).delete()
  })

  it('is none where there is no such plugin', async () => {
    const refused = net.createNetwork({ name: 'none', driver: 'nowhere' })

    await expect(refused).rejects.toThrow(code('ERR_NO_SUCH_DRIVER'))
    await expect(refused).rejects.toThrow(
      `"nowhere"; known: bridge, config-only; no such plugin: nowhere, looked for in ${folder}`,
    )
    await expect(net.createNetwork({ name: 'none', driver: '../x' })).rejects.toThrow(code('ERR_NO_SUCH_DRIVER'))
    expect(net.networks()).toEqual([])
  })

  it('publishes no ports, and says so', async () => {
    const network = await net.createNetwork({ name: 'plugged', driver: 'plug' })

    await expect(network.createEndpoint({ name: 'web', ports: [{ containerPort: 80 }] })).rejects.toThrow(
      code('ERR_PORTS_UNSUPPORTED'),
    )
    const endpoint = await network.createEndpoint({ name: 'web' })
    await expect(endpoint.publish([{ containerPort: 80 }])).rejects.toThrow(code('ERR_PORTS_UNSUPPORTED'))
    expect(calls()).toEqual(['createNetwork', 'createEndpoint'])
  })

  it('shares a sandbox with a bridge network', async () => {
    const network = await net.createNetwork({ name: 'plugged', driver: 'plug' })
    const bridge = await net.createNetwork({ name: 'blue' })
    const { sandbox } = await net.attach({
      network: bridge,
      endpoint: { name: 'one' },
      sandbox: { containerId: 'one' },
    })
    const endpoint = await network.createEndpoint({ name: 'one' })
    await endpoint.join(sandbox, { priority: 1 })

    expect(ipIn(sandbox.key, 'route', 'show', 'default')).toMatchObject([{ dev: 'plug0' }])
    await endpoint.leave(sandbox)
    expect(ipIn(sandbox.key, 'route', 'show', 'default')).toMatchObject([{ dev: 'eth0' }])
    await sandbox.delete()
  })
})

describeKernel('a network of a plugin, after a restart', () => {
  it('goes on where its controller was killed, and the plugin is not told again', async () => {
    await net.close()
    const killed = await startProgram('./killed.mjs', [join(folder, 'state'), join(folder, 'run'), folder])
    const told = plugin.told()
    const links = ip('link', 'show') as object[]
    killed.kill('SIGKILL')
    await once(killed, 'exit')

    await open()
    const [one, two] = [net.getSandbox('one'), net.getSandbox('two')]
    const [endpoint] = two.endpoints()

    expect(pings(one, endpoint?.address)).toBe(true)
    expect((ip('link', 'show') as object[]).length).toBe(links.length)
    expect((await net.describe()).differences).toEqual([])
    expect(plugin.told()).toEqual(told)
    expect(await endpoint?.driverInfo()).toMatchObject({ 'com.example.address': endpoint?.address })
    await one.delete()
    await two.delete()
    await net.getNetwork('plugged').delete()
    expect(traces().links).toEqual(before.links)
  })

  it('is kept while the plugin is not there, and works once it is', async () => {
    const network = await net.createNetwork({ name: 'plugged', driver: 'plug' })
    const one = await net.attach({ network, endpoint: { name: 'one' }, sandbox: { containerId: 'one' } })
    await net.close()
    await plugin.kill()

    await open()
    const kept = net.getNetwork('plugged')

    expect(await said(net)).toContainEqual(
      expect.objectContaining({ kind: 'driver-unavailable', driver: 'plug', networks: ['plugged'] }),
    )
    expect(kept.ipv4).toEqual(network.ipv4)
    expect(net.getSandbox('one').endpoints()[0]?.address).toBe(one.endpoint.address)
    await expect(kept.createEndpoint({ name: 'two' })).rejects.toThrow(code('ERR_PLUGIN_UNAVAILABLE'))
    expect(kept.endpoints().map(({ name }) => name)).toEqual(['one'])

    plugin = await startBridgePlugin(folder)
    const two = await net.attach({ network: kept, endpoint: { name: 'two' }, sandbox: { containerId: 'two' } })

    expect(pings(two.sandbox, one.endpoint.address)).toBe(true)
    await two.detach()
    await net.getSandbox('one').delete()
    await kept.delete()
  })
})
