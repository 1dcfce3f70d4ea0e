import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { RunningPlugin } from '@net/plugins'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { serveDriver, type NetworkPlugin } from '../src/index.ts'

let folder: string
let socketPath: string
let plugin: RunningPlugin
const told: unknown[] = []

/** Remembers what it is told. */
const driver: NetworkPlugin = {
  createNetwork: (network) => tell('createNetwork', network),
  deleteNetwork: (networkId) => tell('deleteNetwork', networkId),
  createEndpoint: async (endpoint) => {
    await tell('createEndpoint', endpoint)
    return { macAddress: '02:00:00:00:00:07' }
  },
  deleteEndpoint: (endpoint) => tell('deleteEndpoint', endpoint),
  join: async (endpoint) => {
    await tell('join', endpoint)
    return {
      interface: { hostName: 'far0' },
      gateway: '10.0.0.1',
      routes: [{ destination: '192.0.2.0/24', gateway: '10.0.0.9' }, { destination: '198.51.100.0/24' }],
    }
  },
  leave: (endpoint) => tell('leave', endpoint),
}

function tell(call: string, what: unknown): Promise<void> {
  told.push([call, what])
  return Promise.resolve()
}

beforeEach(async () => {
  told.length = 0
  folder = await mkdtemp(join(tmpdir(), 'net-remote-'))
  socketPath = join(folder, 'plugin.sock')
  plugin = await serveDriver(driver, { path: socketPath })
})
afterEach(async () => {
  await plugin.close()
  await rm(folder, { recursive: true })
})

/** What a plugin answers to a call as Docker makes it. */
async function ask(call: string, body: object | '' = ''): Promise<unknown> {
  const outgoing = request({ socketPath, path: `/${call}`, method: 'POST', agent: false })
  outgoing.end(body === '' ? '' : JSON.stringify(body))
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  return [response.statusCode, JSON.parse(await text(response))]
}

const ids = { NetworkID: 'n', EndpointID: 'e' }

describe('a network plugin that is served', () => {
  it('says what it is', async () => {
    expect(await ask('Plugin.Activate')).toEqual([200, { Implements: ['NetworkDriver'] }])
    expect(await ask('NetworkDriver.GetCapabilities')).toEqual([200, { Scope: 'local', ConnectivityScope: 'local' }])
  })

  it('is told of networks as Docker tells of them', async () => {
    const body = {
      NetworkID: 'n',
      Options: { 'com.docker.network.generic': { a: 'b' } },
      IPv4Data: [
        { AddressSpace: 's', Pool: '10.0.0.0/24', Gateway: '10.0.0.1/24', AuxAddresses: { x: '10.0.0.9/24' } },
      ],
      IPv6Data: null,
    }
    expect(await ask('NetworkDriver.CreateNetwork', body)).toEqual([200, {}])
    expect(await ask('NetworkDriver.DeleteNetwork', { NetworkID: 'n' })).toEqual([200, {}])

    expect(told).toEqual([
      [
        'createNetwork',
        {
          networkId: 'n',
          options: { 'com.docker.network.generic': { a: 'b' } },
          ipv4: [
            {
              ...{ addressSpace: 's', pool: '10.0.0.0/24', gateway: '10.0.0.1/24' },
              auxAddresses: { x: '10.0.0.9/24' },
            },
          ],
          ipv6: [],
        },
      ],
      ['deleteNetwork', 'n'],
    ])
  })

  it('is told of endpoints, and answers in the fields of the protocol', async () => {
    const Interface = { Address: '10.0.0.2/24', AddressIPv6: '', MacAddress: '' }
    expect(await ask('NetworkDriver.CreateEndpoint', { ...ids, Interface, Options: null })).toEqual([
      200,
      { Interface: { Address: '', AddressIPv6: '', MacAddress: '02:00:00:00:00:07' } },
    ])
    expect(await ask('NetworkDriver.Join', { ...ids, SandboxKey: '/x', Options: {} })).toEqual([
      200,
      {
        InterfaceName: { SrcName: 'far0', DstPrefix: 'eth', DstName: '' },
        Gateway: '10.0.0.1',
        GatewayIPv6: '',
        StaticRoutes: [
          { Destination: '192.0.2.0/24', RouteType: 0, NextHop: '10.0.0.9' },
          { Destination: '198.51.100.0/24', RouteType: 1, NextHop: '' },
        ],
        DisableGatewayService: false,
      },
    ])
    expect(await ask('NetworkDriver.EndpointOperInfo', ids)).toEqual([200, { Value: {} }])
    expect(await ask('NetworkDriver.Leave', ids)).toEqual([200, {}])
    expect(await ask('NetworkDriver.DeleteEndpoint', ids)).toEqual([200, {}])

    const endpoint = { networkId: 'n', endpointId: 'e' }
    expect(told).toEqual([
      [
        'createEndpoint',
        { ...endpoint, interface: { address: '10.0.0.2/24', address6: undefined, macAddress: undefined }, options: {} },
      ],
      ['join', { ...endpoint, sandboxKey: '/x', options: {} }],
      ['leave', endpoint],
      ['deleteEndpoint', endpoint],
    ])
  })

  it('has no call for what it does not concern itself with', async () => {
    expect(await ask('NetworkDriver.ProgramExternalConnectivity', ids)).toMatchObject([404, {}])
    expect(await ask('NetworkDriver.DiscoverNew', {})).toMatchObject([404, {}])
  })

  it('says why it does not, in words', async () => {
    await plugin.close()
    plugin = await serveDriver(
      { ...driver, deleteNetwork: () => Promise.reject(new Error('in use')) },
      { path: socketPath },
    )

    expect(await ask('NetworkDriver.DeleteNetwork', { NetworkID: 'n' })).toEqual([200, { Err: 'in use' }])
  })

  it.each([
    ['an id that is a number', 'DeleteNetwork', { NetworkID: 7 }],
    ['options that are a list', 'CreateNetwork', { NetworkID: 'n', Options: [] }],
    ['pools that are no list', 'CreateNetwork', { NetworkID: 'n', IPv4Data: {} }],
    ['a pool that is a text', 'CreateNetwork', { NetworkID: 'n', IPv4Data: ['10.0.0.0/8'] }],
    ['an interface that is a text', 'CreateEndpoint', { ...ids, Interface: 'eth0' }],
  ])('refuses %s', async (_, call, body) => {
    expect(await ask(`NetworkDriver.${call}`, body)).toMatchObject([200, { Err: /invalid plugin request/ }])
    expect(told).toEqual([])
  })
})
