import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeKernel, enterFreshHost, ipIn } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type ControllerOptions, type Network, type Sandbox } from '../../src/index.ts'
import { traces, type Traces } from '../lab.ts'
import { startProgram } from './plugin-lab.ts'
import { startRawPlugin, type RawPlugin } from './raw-plugin.ts'

await enterFreshHost()

let before: Traces
let folder: string
let plugin: RawPlugin
let net: Controller

const open = async (options: ControllerOptions = {}): Promise<Controller> => {
  net = await openController({
    stateDirectory: join(folder, 'state'),
    runtimeDirectory: join(folder, 'run'),
    plugins: { socketFolders: [folder], specFolders: [], timeoutMs: 1_000, retryMs: 0 },
    ...options,
  })
  return net
}
const createNetwork = (): Promise<Network> =>
  net.createNetwork({ name: 'raw', driver: 'raw', ipam: { pools: [{ pool: '10.40.0.0/24' }] } })
const attach = (network: Network): ReturnType<Controller['attach']> =>
  net.attach({ network, endpoint: { name: 'one' }, sandbox: { containerId: 'one' } })

beforeEach(async () => {
  before = traces()
  folder = mkdtempSync(join(tmpdir(), 'plugins-'))
  plugin = await startRawPlugin(join(folder, 'raw.sock'))
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

/** What a plugin can do wrong, having done what it was asked. */
const wrongs: readonly (readonly [string, (response: ServerResponse) => void])[] = [
  ['says no', (response) => response.end('{"Err":"not today"}')],
  ['answers with a status', (response) => response.writeHead(500).end('{"Err":"broken"}')],
  ['answers what is no JSON', (response) => response.end('<html>')],
  ['answers what is no object', (response) => response.end('[1]')],
  ['is too wordy', (response) => response.end(`"${'x'.repeat(2 ** 20)}"`)],
  ['says nothing', () => undefined],
  ['breaks the connection', (response) => response.socket?.destroy()],
]
const lasting = wrongs.filter(([what]) => ['says no', 'says nothing', 'breaks the connection'].includes(what))

/** The controller knows of no endpoint and sandbox, and after a restart neither; `networks` are as they were. */
async function expectOnly(networks: readonly string[]): Promise<void> {
  for (const _ of ['now', 'after a restart']) {
    expect(net.networks().map(({ name }) => name)).toEqual(networks)
    expect(net.endpoints()).toEqual([])
    expect(net.sandboxes()).toEqual([])
    expect((await net.describe()).differences).toEqual([])
    await net.close()
    await open()
  }
  expect(traces().links).toEqual(before.links)
}

describeKernel('a plugin that', () => {
  it.each(wrongs)('%s when a network is made has none', async (_, wrong) => {
    plugin.spoilt.CreateNetwork = wrong
    await expect(createNetwork()).rejects.toThrow(/remote:|no sense|cannot be reached/)

    expect(plugin.told).toEqual(['CreateNetwork', 'DeleteNetwork'])
    await expectOnly([])
    delete plugin.spoilt.CreateNetwork
    expect((await createNetwork()).ipv4?.pool).toBe('10.40.0.0/24')
  })

  it.each(wrongs)('%s when an endpoint is made has none, nor its address', async (_, wrong) => {
    const network = await createNetwork()
    plugin.spoilt.CreateEndpoint = wrong
    await expect(attach(network)).rejects.toThrow(/remote:|no sense|cannot be reached/)

    expect(plugin.told).toEqual(['CreateNetwork', 'CreateEndpoint', 'DeleteEndpoint'])
    await expectOnly(['raw'])
    delete plugin.spoilt.CreateEndpoint
    expect((await net.getNetwork('raw').createEndpoint({ name: 'one' })).address).toBe('10.40.0.2/24')
  })

  it.each(wrongs)('%s when an endpoint joins is told that it left, and all is undone', async (_, wrong) => {
    const network = await createNetwork()
    plugin.spoilt.Join = wrong
    await expect(attach(network)).rejects.toThrow(/remote:|no sense|cannot be reached/)

    expect(plugin.told).toEqual(['CreateNetwork', 'CreateEndpoint', 'Join', 'Leave', 'DeleteEndpoint'])
    await expectOnly(['raw'])
  })

  it.each(lasting)('%s when an endpoint is to serve the default route undoes the join', async (_, wrong) => {
    const network = await createNetwork()
    plugin.spoilt.ProgramExternalConnectivity = wrong
    await expect(attach(network)).rejects.toThrow(/remote:|cannot be reached/)

    expect(plugin.told.slice(2)).toEqual(['Join', 'ProgramExternalConnectivity', 'Leave', 'DeleteEndpoint'])
    await expectOnly(['raw'])
  })

  it.each(lasting)('%s when all is undone holds nobody up', async (_, wrong) => {
    const network = await createNetwork()
    const { sandbox } = await attach(network)
    for (const call of ['RevokeExternalConnectivity', 'Leave', 'DeleteEndpoint', 'DeleteNetwork']) {
      plugin.spoilt[call] = wrong
    }
    await sandbox.delete()
    await network.delete()

    expect(plugin.told.slice(-4)).toEqual(['RevokeExternalConnectivity', 'Leave', 'DeleteEndpoint', 'DeleteNetwork'])
    await expectOnly([])
  })

  it.each(lasting)('%s when an endpoint leaves has it leave all the same', async (_, wrong) => {
    const network = await createNetwork()
    const { sandbox, endpoint } = await attach(network)
    plugin.spoilt.Leave = wrong
    await endpoint.leave(sandbox)

    expect(endpoint.sandboxId).toBeUndefined()
    expect(ipIn(sandbox.key, 'link', 'show')).toMatchObject([{ ifname: 'lo' }])
    expect(traces().links).toEqual(before.links)
    delete plugin.spoilt.Leave
    await endpoint.join(sandbox)
    expect(ipIn(sandbox.key, 'addr', 'show', 'eth0')).toMatchObject([{ addr_info: [{ local: '10.40.0.2' }] }])
    await sandbox.delete()
    await expectOnly(['raw'])
  })

  it('is gone leaves its links to nobody', async () => {
    const network = await createNetwork()
    const { sandbox } = await attach(network)
    await plugin[Symbol.asyncDispose]()
    await sandbox.delete()
    await network.delete()

    expect(traces().links).toEqual(before.links)
    plugin = await startRawPlugin(join(folder, 'raw.sock'))
    await expectOnly([])
  })

  it.each([
    ['no such link', { SrcName: 'nowhere0', DstPrefix: 'eth' }, 'ERR_LINK_NOT_FOUND'],
    ['a link that is the loopback', { SrcName: 'lo', DstPrefix: 'eth' }, 'ERR_LINK_IN_USE'],
    ['a name that there cannot be', { SrcName: '../x', DstPrefix: 'eth' }, 'ERR_PLUGIN_REPLY'],
    ['a name that is taken inside', { SrcName: 'lo', DstName: 'lo' }, 'ERR_INTERFACE_EXISTS'],
  ])('names %s when an endpoint joins is told that it left', async (_, InterfaceName, code) => {
    const network = await createNetwork()
    plugin.spoilt.Join = (response) => response.end(JSON.stringify({ InterfaceName }))

    await expect(attach(network)).rejects.toThrow(expect.objectContaining({ code }) as Error)

    expect(plugin.told.slice(2)).toEqual(['Join', 'Leave', 'DeleteEndpoint'])
    await expectOnly(['raw'])
  })

  it("names a bridge network's link does not get it", async () => {
    const bridge = await net.createNetwork({ name: 'blue' })
    const other = await net.attach({ network: bridge, endpoint: { name: 'web' }, sandbox: { containerId: 'web' } })
    const [hostName] = traces().links.filter((name) => name.startsWith('veth'))
    const network = await createNetwork()
    plugin.spoilt.Join = (response) => response.end(JSON.stringify({ InterfaceName: { SrcName: hostName } }))

    await expect(attach(network)).rejects.toThrow(expect.objectContaining({ code: 'ERR_LINK_IN_USE' }) as Error)

    expect(traces().links).toContain(hostName)
    delete plugin.spoilt.Join
    await other.detach()
  })

  it.each([
    ['offers no gateway has its sandboxes use the gateway network', false, ['raw', 'net_gateway']],
    ['wants no gateway has its sandboxes do without', true, ['raw']],
  ])('%s', async (_, DisableGatewayService, networks) => {
    const network = await createNetwork()
    plugin.spoilt.Join = (response) => {
      const SrcName = traces().links.find((name) => name.startsWith('rf'))
      response.end(JSON.stringify({ InterfaceName: { SrcName, DstPrefix: 'net' }, DisableGatewayService }))
    }
    const { sandbox, endpoint } = await attach(network)

    expect(endpoint.interfaceName).toBe('net0')
    expect(net.networks().map(({ name }) => name)).toEqual(networks)
    expect(sandbox.endpoints()).toHaveLength(networks.length)
    expect(plugin.told).not.toContain('ProgramExternalConnectivity')
    await sandbox.delete()
    await net.findNetwork('net_gateway')?.delete()
    await expectOnly(['raw'])
  })

  it('says nothing when it is looked for is given up when the caller gives up', async () => {
    plugin.spoilt.GetCapabilities = () => undefined
    const options = { name: 'raw', driver: 'raw' }

    await expect(net.createNetwork(options, { signal: AbortSignal.timeout(50) })).rejects.toThrow(/timeout/)
    await expect(net.createNetwork(options)).rejects.toThrow(/no answer within/)

    plugin.spoilt.GetCapabilities = undefined
    expect((await net.createNetwork(options)).driver).toBe('raw')
  })

  it('says nothing is given up when the caller gives up', async () => {
    const network = await createNetwork()
    plugin.spoilt.CreateEndpoint = () => undefined
    const signal = AbortSignal.timeout(50)

    await expect(network.createEndpoint({ name: 'one' }, { signal })).rejects.toThrow(/timeout/)

    await expectOnly(['raw'])
  })
})

describeKernel('a controller that is killed', () => {
  const steps: readonly (readonly [
    string,
    { readonly networks: number; readonly endpoints: number; readonly told: string[] },
  ])[] = [
    ['CreateNetwork', { networks: 0, endpoints: 0, told: ['DeleteNetwork'] }],
    ['CreateEndpoint', { networks: 1, endpoints: 0, told: ['DeleteEndpoint'] }],
    ['Join', { networks: 1, endpoints: 1, told: ['Leave'] }],
    ['ProgramExternalConnectivity', { networks: 1, endpoints: 1, told: [] }],
    ['Leave', { networks: 1, endpoints: 1, told: ['Leave'] }],
    ['DeleteEndpoint', { networks: 1, endpoints: 0, told: ['DeleteEndpoint'] }],
    ['DeleteNetwork', { networks: 0, endpoints: 0, told: ['DeleteNetwork'] }],
  ]

  /** Kills a controller while the plugin has done what `call` asks and has not answered. */
  async function killAt(call: string): Promise<void> {
    await net.close()
    const heard = plugin.heard(call)
    plugin.spoilt[call] = () => undefined
    const process = await startProgram('./step.mjs', [join(folder, 'state'), join(folder, 'run'), folder])
    await heard
    process.kill('SIGKILL')
    await once(process, 'exit')
    plugin.spoilt[call] = undefined
    plugin.told.length = 0
  }

  it.each(steps)('at %s has a successor that undoes or goes on', async (call, expected) => {
    await killAt(call)
    await open()

    expect(plugin.told).toEqual(expected.told)
    expect(net.networks()).toHaveLength(expected.networks)
    expect(net.endpoints()).toHaveLength(expected.endpoints)
    expect((await net.describe()).differences).toEqual([])
    await finish()
  })

  it.each(['CreateEndpoint', 'DeleteNetwork'])(
    'at %s has one that undoes it when the plugin is there',
    async (call) => {
      await killAt(call)
      await plugin[Symbol.asyncDispose]()
      await open()
      expect(net.endpoints()).toEqual([])
      await net.close()

      plugin = await startRawPlugin(join(folder, 'raw.sock'))
      await open()

      expect(plugin.told).toEqual([call.replace('Create', 'Delete')])
      await finish()
    },
  )

  /** All can go on from there: what is left is used, and taken away. */
  async function finish(): Promise<void> {
    const network = net.findNetwork('raw') ?? (await createNetwork())
    const endpoint = network.findEndpoint('one') ?? (await network.createEndpoint({ name: 'one' }))
    const sandbox: Sandbox = net.findSandbox('one') ?? (await net.createSandbox({ containerId: 'one' }))
    if (endpoint.sandboxId === undefined) await endpoint.join(sandbox)
    expect(endpoint.address).toBe('10.40.0.2/24')
    expect(ipIn(sandbox.key, 'addr', 'show', 'eth0')).toMatchObject([{ addr_info: [{ local: '10.40.0.2' }] }])
    await sandbox.delete()
    await network.delete()
    await expectOnly([])
  }
})
