import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatJoinPlan, type EndpointRecord, type NetworkRecord, type SandboxRecord } from '@net/driverapi'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startFalsePlugin, type FalsePlugin } from '../../plugins/test/false-plugin.ts'
import { remoteDriver, type RemoteDriver, type RemoteEndpointOptions, type RemoteOptions } from '../src/index.ts'

const code = (name: string): object => expect.objectContaining({ code: name }) as object

let folder: string
let plugin: FalsePlugin
let driver: RemoteDriver
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'net-remote-'))
  plugin = await startFalsePlugin(join(folder, 'test.sock'))
  plugin.answers['/NetworkDriver.GetCapabilities'] = { Scope: 'local', ConnectivityScope: 'global', more: 1 }
  driver = remoteDriver({ name: 'test', socketFolders: [folder], specFolders: [], timeoutMs: 300, retryMs: 0 })
})
afterEach(async () => {
  await plugin[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

const ids = { NetworkID: 'a1'.repeat(32), EndpointID: 'b2'.repeat(32) }
const network: NetworkRecord<RemoteOptions> = {
  id: ids.NetworkID,
  name: 'plugged',
  driver: 'test',
  phase: 'ready',
  internal: false,
  ipv4: { poolId: 'pool4', pool: '10.0.0.0/24', gateway: '10.0.0.1/24' },
  ipv6: { poolId: 'pool6', pool: 'fd00::/64', gateway: 'fd00::1/64' },
  labels: {},
  options: { plugin: 'test', given: { vlan: '7' } },
}
const endpoint: EndpointRecord<RemoteEndpointOptions> = {
  id: ids.EndpointID,
  networkId: ids.NetworkID,
  name: 'one',
  phase: 'ready',
  macAddress: '',
  address: '10.0.0.2/24',
  aliases: [],
  ports: [],
  exposed: [{ protocol: 'udp', port: 53 }],
  options: { given: { speed: 9 } },
}
const sandbox: SandboxRecord = { id: 'c3', containerId: 'c', phase: 'ready', hostname: 'c', key: '/run/net/x' }
const pools = { addressSpace: 'LocalDefault', auxAddresses: { printer: '10.0.0.9', spare: 'fd00::9' } }

const { createNetwork, deleteNetwork, createEndpoint, deleteEndpoint } = bound()
const { join: joinIt, leave, becomeGateway, ceaseGateway, endpointInfo } = bound()

/** The effects of the driver that the test has. */
function bound() {
  return {
    createNetwork: () => driver.effects?.createNetwork(network, pools),
    deleteNetwork: () => driver.effects?.deleteNetwork(network),
    createEndpoint: (changes = {}) => driver.effects?.createEndpoint(network, { ...endpoint, ...changes }),
    deleteEndpoint: () => driver.effects?.deleteEndpoint(network, endpoint),
    join: () => driver.effects?.join(network, endpoint, sandbox),
    leave: () => driver.effects?.leave(network, endpoint),
    becomeGateway: () => driver.effects?.becomeGateway(network, endpoint),
    ceaseGateway: () => driver.effects?.ceaseGateway(network, endpoint),
    endpointInfo: () => driver.effects?.endpointInfo(network, endpoint),
  }
}

/** What the plugin was asked last, as it went over the wire. */
const asked = (): unknown => {
  const { path, body } = plugin.asked.at(-1) ?? { path: '', body: '' }
  return [path.replace('/NetworkDriver.', ''), JSON.parse(body)]
}

describe('a plugin is told', () => {
  beforeEach(() => {
    for (const name of ['CreateNetwork', 'DeleteNetwork', 'DeleteEndpoint', 'Leave']) {
      plugin.answers[`/NetworkDriver.${name}`] = 'null'
    }
    for (const name of ['ProgramExternalConnectivity', 'RevokeExternalConnectivity', 'CreateEndpoint', 'Join']) {
      plugin.answers[`/NetworkDriver.${name}`] = {}
    }
  })

  it('of a network, with its pools and what the user gave', async () => {
    await createNetwork()

    expect(asked()).toEqual([
      'CreateNetwork',
      {
        NetworkID: network.id,
        Options: { 'com.docker.network.enable_ipv6': true, 'com.docker.network.generic': { vlan: '7' } },
        IPv4Data: [
          {
            AddressSpace: 'LocalDefault',
            Pool: '10.0.0.0/24',
            Gateway: '10.0.0.1/24',
            AuxAddresses: { printer: '10.0.0.9/24' },
          },
        ],
        IPv6Data: [
          {
            AddressSpace: 'LocalDefault',
            Pool: 'fd00::/64',
            Gateway: 'fd00::1/64',
            AuxAddresses: { spare: 'fd00::9/64' },
          },
        ],
      },
    ])
    expect(plugin.asked.map(({ path }) => path)).toEqual([
      '/Plugin.Activate',
      '/NetworkDriver.GetCapabilities',
      '/NetworkDriver.CreateNetwork',
    ])
  })

  it('of an endpoint, with empty texts for what it does not have', async () => {
    await createEndpoint()

    expect(asked()).toEqual([
      'CreateEndpoint',
      {
        ...ids,
        Interface: { Address: '10.0.0.2/24', AddressIPv6: '', MacAddress: '' },
        Options: {
          speed: 9,
          'com.docker.network.endpoint.exposedports': [{ Proto: 17, Port: 53 }],
          'com.docker.network.portmap': [],
        },
      },
    ])
  })

  it('of what becomes of them', async () => {
    await deleteNetwork()
    expect(asked()).toEqual(['DeleteNetwork', { NetworkID: network.id }])
    await deleteEndpoint()
    expect(asked()).toEqual(['DeleteEndpoint', ids])
    await joinIt()
    expect(asked()).toEqual(['Join', { ...ids, SandboxKey: '/run/net/x', Options: {} }])
    await becomeGateway()
    expect(asked()).toEqual(['ProgramExternalConnectivity', { ...ids, Options: {} }])
    await ceaseGateway()
    expect(asked()).toEqual(['RevokeExternalConnectivity', ids])
    await leave()
    expect(asked()).toEqual(['Leave', ids])
  })

  it('who serves default routes only where it wants to know', async () => {
    delete plugin.answers['/NetworkDriver.ProgramExternalConnectivity']
    delete plugin.answers['/NetworkDriver.RevokeExternalConnectivity']

    await becomeGateway()
    await ceaseGateway()

    delete plugin.answers['/NetworkDriver.Leave']
    await expect(leave()).rejects.toThrow(code('ERR_PLUGIN_REFUSED'))
  })

  it('nothing of networks when only plans are asked for', () => {
    driver.planNetwork(network)
    driver.planEndpoint(network, endpoint, sandbox)

    expect(plugin.asked).toEqual([])
  })
})

describe('a plugin answers', () => {
  it('which addresses it chose where there were none', async () => {
    plugin.answers['/NetworkDriver.CreateEndpoint'] = {
      Interface: { Address: '', AddressIPv6: 'FD00::0:2/64', MacAddress: '02:42:AC:14:00:22' },
    }

    expect(await createEndpoint()).toEqual({ address6: 'fd00::2/64', macAddress: '02:42:ac:14:00:22' })
  })

  it.each([
    ['Address', { Address: '10.0.0.3/24' }, {}],
    ['AddressIPv6', { AddressIPv6: 'fd00::3/64' }, { address6: 'fd00::2/64' }],
    ['MacAddress', { MacAddress: '02:42:ac:14:00:22' }, { macAddress: '02:42:ac:14:00:23' }],
  ])('and may not change the %s that there is', async (field, Interface, changes) => {
    plugin.answers['/NetworkDriver.CreateEndpoint'] = { Interface }

    const refused = createEndpoint(changes)

    await expect(refused).rejects.toThrow(code('ERR_INTERFACE_MODIFIED'))
    await expect(refused).rejects.toThrow(`plugin test modified interface: ${field}`)
  })

  it.each([
    ['an interface that is a text', { Interface: 'eth0' }],
    ['an address without length', { Interface: { AddressIPv6: 'fd00::3' } }],
    ['an address of the other family', { Interface: { AddressIPv6: '10.0.0.3/24' } }],
    ['a MAC address that is none', { Interface: { MacAddress: 'zz' } }],
    ['a MAC address that is a number', { Interface: { MacAddress: 7 } }],
  ])('%s to an endpoint, which makes no sense', async (_, answer) => {
    plugin.answers['/NetworkDriver.CreateEndpoint'] = answer

    await expect(createEndpoint()).rejects.toThrow(code('ERR_PLUGIN_REPLY'))
  })

  it('what the endpoint gets in its sandbox, and the plan says so', async () => {
    plugin.answers['/NetworkDriver.Join'] = {
      InterfaceName: { SrcName: 'far0', DstPrefix: 'net' },
      Gateway: '10.0.0.1',
      GatewayIPv6: 'FD00::1',
      StaticRoutes: [
        { Destination: '192.0.2.7/24', RouteType: 0, NextHop: '10.0.0.9' },
        { Destination: '198.51.100.0/24', RouteType: 1 },
      ],
      DisableGatewayService: true,
    }
    const joined = await joinIt()
    const record = { ...endpoint, joined, address6: 'fd00::2/64', macAddress: '02:42:ac:14:00:22' }
    const interfaceName = driver.nameInterface(network, record, ['eth0', 'net0'])
    const plan = driver.planEndpoint(network, { ...record, interfaceName }, sandbox)

    expect(JSON.parse(JSON.stringify(joined))).toEqual(joined)
    expect(interfaceName).toBe('net1')
    expect(plan.sandbox.needsNoGateway).toBe(true)
    expect(formatJoinPlan(plan).split('\n')).toEqual([
      'link set far0 netns sandbox name net1 address 02:42:ac:14:00:22 up',
      'sandbox: sysctl net.ipv6.conf.net1.disable_ipv6=0',
      'sandbox: sysctl net.ipv6.conf.net1.accept_ra=0',
      'sandbox: addr add 10.0.0.2/24 dev net1',
      'sandbox: addr add fd00::2/64 dev net1',
      'sandbox: route add 192.0.2.0/24 via 10.0.0.9',
      'sandbox: route add 198.51.100.0/24 dev net1',
      'sandbox: route add default via 10.0.0.1',
      'sandbox: route add default via fd00::1',
    ])
    expect(driver.planEndpoint({ ...network, internal: true }, record, sandbox).sandbox.gateways).toEqual({})
  })

  it('what the interface is called, unless that name is taken', async () => {
    plugin.answers['/NetworkDriver.Join'] = { InterfaceName: { SrcName: 'far0', DstPrefix: 'net', DstName: 'uplink' } }
    const record = { ...endpoint, joined: await joinIt() }

    expect(driver.nameInterface(network, record, ['eth0'])).toBe('uplink')
    expect(() => driver.nameInterface(network, record, ['uplink'])).toThrow(code('ERR_PLUGIN_REPLY'))
  })

  it.each([
    ['nothing', 'null'],
    ['no link', { InterfaceName: { SrcName: '', DstPrefix: 'eth' } }],
  ])('%s to a join: the endpoint has no interface', async (_, answer) => {
    plugin.answers['/NetworkDriver.Join'] = answer
    const joined = await joinIt()

    expect(formatJoinPlan(driver.planEndpoint(network, { ...endpoint, joined }, sandbox))).toBe('')
  })

  it('is read from a record as what it was', async () => {
    plugin.answers['/NetworkDriver.Join'] = {
      InterfaceName: { SrcName: 'far0', DstPrefix: 'all' },
      Gateway: '10.0.0.1',
      StaticRoutes: [{ Destination: '192.0.2.0/24', RouteType: 1 }],
    }
    const joined = await joinIt()

    expect(driver.readJoined?.(JSON.parse(JSON.stringify(joined)))).toEqual(joined)
  })

  it.each([
    [7],
    [{}],
    [{ routes: {}, needsNoGateway: false }],
    [{ routes: [], needsNoGateway: 'no' }],
    [{ routes: [], needsNoGateway: false, more: 1 }],
    [{ routes: [], needsNoGateway: false, gateway: 'fd00::1' }],
    [{ routes: [], needsNoGateway: false, gateway6: 7 }],
    [{ routes: [{ destination: 'everywhere' }], needsNoGateway: false }],
    [{ routes: [{ destination: '192.0.2.0/24', gateway: 'eth0' }], needsNoGateway: false }],
    [{ routes: [], needsNoGateway: false, interface: { hostName: '../x', prefix: 'eth' } }],
    [{ routes: [], needsNoGateway: false, interface: { hostName: 'far0', prefix: 'x'.repeat(12) } }],
  ])('cannot be what a record has that is %j', (joined) => {
    expect(() => driver.readJoined?.(joined)).toThrow()
    expect(formatJoinPlan(driver.planEndpoint(network, { ...endpoint, joined }, sandbox))).toBe('')
    expect(driver.nameInterface(network, { ...endpoint, joined }, [])).toBe('eth0')
  })

  it.each([
    ['a gateway that is none', { Gateway: '10.0.0' }],
    ['a gateway with a length', { Gateway: '10.0.0.1/24' }],
    ['a gateway of the other family', { Gateway: 'fd00::1' }],
    ['a gateway of the other family', { GatewayIPv6: '10.0.0.1' }],
    ['names that are a text', { InterfaceName: 'eth0' }],
    ['a link whose name is a path', { InterfaceName: { SrcName: '../eth0' } }],
    ['a link whose name is a template', { InterfaceName: { SrcName: 'eth%d' } }],
    ['a link whose name is too long', { InterfaceName: { SrcName: 'x'.repeat(16) } }],
    ['a prefix that is too long', { InterfaceName: { SrcName: 'a', DstPrefix: 'x'.repeat(12) } }],
    ['a name that is none', { InterfaceName: { SrcName: 'a', DstName: 'all' } }],
    ['routes that are no list', { StaticRoutes: {} }],
    [
      'too many routes',
      { StaticRoutes: Array.from({ length: 1001 }, () => ({ Destination: '10.0.0.0/8', RouteType: 1 })) },
    ],
    ['a route that is a text', { StaticRoutes: ['10.0.0.0/8'] }],
    ['a route to nowhere', { StaticRoutes: [{ RouteType: 1 }] }],
    ['a route of no known sort', { StaticRoutes: [{ Destination: '10.0.0.0/8', RouteType: 2 }] }],
    ['a route by nobody', { StaticRoutes: [{ Destination: '10.0.0.0/8', RouteType: 0 }] }],
    ['a route by the other family', { StaticRoutes: [{ Destination: '10.0.0.0/8', NextHop: 'fd00::1' }] }],
    ['a flag that is a text', { DisableGatewayService: 'yes' }],
  ])('%s to a join, which makes no sense', async (_, answer) => {
    plugin.answers['/NetworkDriver.Join'] = answer

    await expect(joinIt()).rejects.toThrow(code('ERR_PLUGIN_REPLY'))
  })

  it('what it knows of an endpoint', async () => {
    plugin.answers['/NetworkDriver.EndpointOperInfo'] = { Value: { id: 7, name: 'x' } }
    expect(await endpointInfo()).toEqual({ id: 7, name: 'x' })
    plugin.answers['/NetworkDriver.EndpointOperInfo'] = 'null'
    expect(await endpointInfo()).toEqual({})
    plugin.answers['/NetworkDriver.EndpointOperInfo'] = { Value: [7] }
    await expect(endpointInfo()).rejects.toThrow(code('ERR_PLUGIN_REPLY'))
  })

  it('with words why it does not', async () => {
    plugin.answers['/NetworkDriver.CreateNetwork'] = { Err: 'no room' }

    await expect(createNetwork()).rejects.toThrow('remote: no room')
  })
})

describe('a plugin is a network driver', () => {
  // libnetwork: remote.TestGetEmptyCapabilities, TestGetExtraCapabilities, TestGetInvalidCapabilities
  it.each([
    ['of no scope', {}],
    ['of an empty scope', { Scope: '' }],
    ['of a scope that there is not', { Scope: 'fake' }],
    ['of a connectivity that there is not', { Scope: 'local', ConnectivityScope: 'fake' }],
  ])('not when it is %s', async (_, answer) => {
    plugin.answers['/NetworkDriver.GetCapabilities'] = answer

    await expect(driver.activate()).rejects.toThrow(code('ERR_PLUGIN_REPLY'))
  })

  it('of this host only', async () => {
    plugin.answers['/NetworkDriver.GetCapabilities'] = { Scope: 'global' }

    await expect(driver.activate()).rejects.toThrow(code('ERR_PLUGIN_SCOPE'))
  })

  it('not when it implements something else', async () => {
    plugin.answers['/Plugin.Activate'] = { Implements: ['IpamDriver'] }

    await expect(driver.activate()).rejects.toThrow(code('ERR_PLUGIN_REPLY'))
  })

  it('once it answers, whatever it did before', async () => {
    plugin.answers['/Plugin.Activate'] = {}
    await expect(deleteNetwork()).rejects.toThrow(code('ERR_PLUGIN_REPLY'))
    plugin.answers['/Plugin.Activate'] = { Implements: ['NetworkDriver'] }
    plugin.answers['/NetworkDriver.DeleteNetwork'] = {}

    await deleteNetwork()
    await deleteNetwork()

    expect(plugin.asked.filter(({ path }) => path === '/NetworkDriver.GetCapabilities')).toHaveLength(1)
  })

  it('that publishes no ports', () => {
    expect(() => driver.checkEndpoint(network, { name: 'one', options: {}, publishes: true })).toThrow(
      code('ERR_PORTS_UNSUPPORTED'),
    )
  })
})
