import { formatFact, type EndpointRecord, type NetworkRecord } from '@net/driverapi'
import { expect, it } from 'vitest'
import { bridgeDriver, type BridgeEndpointOptions, type BridgeOptions } from './index.ts'

const driver = bridgeDriver()
const id = '0123456789ab'.padEnd(64, 'c')
const LINKS = 'com.docker.network.generic'

function network(options: Record<string, unknown>, internal = false): NetworkRecord<BridgeOptions> {
  const request = { id, name: 'bridge', internal, ipv4: true, ipv6: true, existing: [], options }
  return {
    ...{ id, name: 'bridge', driver: 'bridge', phase: 'ready', internal, labels: {} },
    options: driver.checkNetwork(request),
  }
}
const quiet = { 'com.docker.network.bridge.default_bridge': 'true', 'com.docker.network.bridge.enable_icc': 'false' }

function endpoint(
  name: string,
  host: number,
  options: BridgeEndpointOptions = {},
): EndpointRecord<BridgeEndpointOptions> {
  return {
    ...{
      id: name,
      networkId: id,
      name,
      phase: 'ready',
      macAddress: '02:42:0a:00:00:02',
      aliases: [],
      ports: [],
      options,
    },
    ...{ address: `10.0.0.${host}/24`, address6: `fd00::${host}/64`, exposed: [{ protocol: 'tcp', port: 80 + host }] },
  }
}
const others = [endpoint('one', 3), endpoint('two', 4)]

/** The plan of `web`, which is linked so, on such a network. */
function planOf(on: NetworkRecord<BridgeOptions>, links: unknown): ReturnType<typeof driver.planEndpoint> {
  const options = driver.checkEndpoint(on, {
    ...{ name: 'web', options: { [LINKS]: links }, publishes: false },
    findEndpoint: (other) => others.find(({ name }) => name === other),
  })
  const sandbox = { id: 's', containerId: 'c', hostname: 'c', phase: 'ready', key: '/run/net/s' } as const
  return driver.planEndpoint(on, endpoint('web', 2, options), sandbox)
}

it('lets parents reach what it exposes, and the endpoint what its children do, over both families', () => {
  const plan = planOf(network(quiet), { ParentEndpoints: ['one'], ChildEndpoints: ['two'] })

  expect(plan.firewall.map(formatFact)).toEqual([
    'firewall: link 10.0.0.3 to tcp 10.0.0.2:82',
    'firewall: link [fd00::3] to tcp [fd00::2]:82',
    'firewall: link 10.0.0.2 to tcp 10.0.0.4:84',
    'firewall: link [fd00::2] to tcp [fd00::4]:84',
  ])
  expect(plan.sandbox.links[0]?.create).toMatchObject({ isolated: true, filtered: true })
})

it('says nothing where containers may speak with each other', () => {
  const plan = planOf(network({ ...quiet, 'com.docker.network.bridge.enable_icc': 'true' }), {
    ChildEndpoints: ['two'],
  })

  expect(plan.firewall).toEqual([])
  expect(plan.sandbox.links[0]?.create.filtered).toBeUndefined()
})

it.each([
  ['an endpoint that is not there', network(quiet), { ChildEndpoints: ['one', 'four'] }],
  ['an endpoint of a network that is not the default one', network({}), { ChildEndpoints: ['one'] }],
  ['an endpoint of an internal network', network(quiet, true), { ChildEndpoints: ['one'] }],
  ['what is no list', network(quiet), { ParentEndpoints: 'one' }],
])('is refused to link %s', (_, on, links) => {
  expect(() => planOf(on, links)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringContaining(LINKS) as string }) as Error,
  )
})

it('is on docker0, unless it is given the name of a bridge that is there', () => {
  const request = { id, name: 'bridge', internal: false, ipv4: true, ipv6: false, existing: [] }
  const options = { ...quiet, 'com.docker.network.bridge.name': 'br-own' }
  const findHostLink = () => ({ kind: 'bridge', addresses: [], owner: undefined, routesLocalnet: false })

  expect(driver.checkNetwork({ ...request, options: quiet })).toMatchObject({ bridge: 'docker0', existing: undefined })
  expect(driver.checkNetwork({ ...request, options: quiet, findHostLink }).existing).toBeDefined()
  expect(driver.checkNetwork({ ...request, options, findHostLink })).toMatchObject({ bridge: 'br-own' })
  expect(() => driver.checkNetwork({ ...request, options })).toThrow(
    expect.objectContaining({ code: 'ERR_BRIDGE_MISSING', kind: 'not-found' }) as Error,
  )
})
