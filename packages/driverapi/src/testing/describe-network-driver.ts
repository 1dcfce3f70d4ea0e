import { describe, expect, it } from 'vitest'
import type { NetworkDriver } from '../network-driver.ts'
import type { EndpointRecord, NetworkRecord, SandboxRecord } from '../records.ts'

/** A driver, and options that it takes. */
export interface DriverUnderTest {
  readonly driver: NetworkDriver
  /** Options of two networks that can be there at once. */
  readonly networkOptions: readonly [Record<string, unknown>, Record<string, unknown>]
  /** Whether its endpoints can publish ports. @defaultValue true */
  readonly publishes?: boolean | undefined
}

/**
 * The compliance suite: a driver is a driver when it passes. What plans do in the kernel is the
 * executor's matter; here they are looked at as data.
 */
export function describeNetworkDriver(name: string, open: () => DriverUnderTest): void {
  describe(`network driver ${name}`, () => {
    it('has a type that is not blank, and a scope', () => {
      const { driver } = open()

      expect(driver.type.trim()).not.toBe('')
      expect(['local', 'global']).toContain(driver.scope)
    })

    it('remembers of a network and an endpoint what survives JSON', () => {
      const { network, endpoint } = records(open())

      expect(JSON.parse(JSON.stringify(network.options))).toEqual(defined(network.options))
      expect(JSON.parse(JSON.stringify(endpoint.options))).toEqual(defined(endpoint.options))
    })

    it('reads what it remembers as what it was, and nothing else, where it reads it', () => {
      const { driver, network, endpoint } = records(open())
      const check = (read: (stored: unknown) => unknown, { options }: NetworkRecord | EndpointRecord): void => {
        expect(defined(read(JSON.parse(JSON.stringify(options))))).toEqual(defined(options))
        for (const damaged of [null, 'options', 1, [], { nobodyKnows: 1 }]) expect(() => read(damaged)).toThrow()
      }

      if (driver.readNetworkOptions !== undefined) check((stored) => driver.readNetworkOptions?.(stored), network)
      if (driver.readEndpointOptions !== undefined) check((stored) => driver.readEndpointOptions?.(stored), endpoint)
    })

    it('plans the same for the same record, in plain JSON', () => {
      const { driver, network, endpoint, sandbox } = records(open())

      for (const plan of [
        () => driver.planNetwork(network),
        () => driver.planEndpoint(network, endpoint, sandbox),
        () => driver.planPorts(network, endpoint, endpoint.ports),
      ]) {
        expect(plan()).toEqual(plan())
        expect(JSON.parse(JSON.stringify(plan()))).toEqual(defined(plan()))
      }
    })

    it('plans from a record that was stored and read back as from the one it made', () => {
      const { driver, network, endpoint, sandbox } = records(open())
      const stored = JSON.parse(JSON.stringify(network)) as NetworkRecord

      expect(driver.planEndpoint(stored, endpoint, sandbox)).toEqual(driver.planEndpoint(network, endpoint, sandbox))
      expect(driver.planNetwork(stored)).toEqual(driver.planNetwork(network))
    })

    it('changes none of the records it is given', () => {
      const { driver, network, endpoint, sandbox } = records(open())
      const frozen = [deepFreeze(network), deepFreeze(endpoint), deepFreeze(sandbox)] as const

      driver.planNetwork(frozen[0])
      driver.planEndpoint(...frozen)
      driver.describe(frozen[0], frozen[1])
    })

    it('gives each endpoint of a network links of its own', () => {
      const { driver, network, endpoint, sandbox } = records(open())
      const other = { ...endpoint, id: 'f'.repeat(64), name: 'other' }
      const hostNames = [endpoint, other].flatMap((one) =>
        driver.planEndpoint(network, one, sandbox).sandbox.links.map(({ create }) => create.hostName),
      )

      expect(new Set(hostNames).size).toBe(hostNames.length)
      for (const hostName of hostNames) expect(new TextEncoder().encode(hostName).length).toBeLessThanOrEqual(15)
    })

    it('wants for a published port exactly what publishing it later adds', () => {
      const { driver, network, endpoint, sandbox } = records(open())
      const silent = { ...endpoint, ports: [] }
      const later = driver.planPorts(network, silent, endpoint.ports)

      expect([...driver.planEndpoint(network, silent, sandbox).firewall, ...later]).toEqual(
        driver.planEndpoint(network, endpoint, sandbox).firewall,
      )
    })

    it('wants no more for a range of ports than for one port', () => {
      const { driver, network, endpoint } = records(open())
      const range = endpoint.ports.map((port) => ({ ...port, count: 1000 }))

      expect(driver.planPorts(network, endpoint, range)).toHaveLength(
        driver.planPorts(network, endpoint, endpoint.ports).length,
      )
    })

    it('names interfaces of one sandbox apart', () => {
      const { driver, network, endpoint } = records(open())
      const first = driver.nameInterface(network, endpoint, [])

      expect(driver.nameInterface(network, endpoint, [first])).not.toBe(first)
    })
  })
}

function records({ driver, networkOptions, publishes = true }: DriverUnderTest): {
  driver: NetworkDriver
  network: NetworkRecord
  endpoint: EndpointRecord
  sandbox: SandboxRecord
} {
  const id = 'a1'.repeat(32)
  const network: NetworkRecord = {
    id,
    name: 'network1',
    driver: driver.type,
    phase: 'ready',
    internal: false,
    ipv4: { poolId: 'pool4', pool: '10.0.0.0/24', gateway: '10.0.0.1/24' },
    ipv6: { poolId: 'pool6', pool: 'fd00::/64', gateway: 'fd00::1/64' },
    labels: {},
    options: driver.checkNetwork({
      id,
      name: 'network1',
      internal: false,
      ipv4: true,
      ipv6: true,
      options: networkOptions[0],
      existing: [],
    }),
  }
  const endpoint: EndpointRecord = {
    id: 'b2'.repeat(32),
    networkId: id,
    name: 'endpoint1',
    phase: 'ready',
    macAddress: '02:42:0a:00:00:02',
    address: '10.0.0.2/24',
    address6: 'fd00::2/64',
    aliases: [],
    ports: publishes ? [{ protocol: 'tcp', containerPort: 80, hostPort: 8080 }] : [],
    exposed: [{ protocol: 'tcp', port: 80 }],
    options: driver.checkEndpoint(network, { name: 'endpoint1', options: {}, publishes }),
    sandboxId: 'c3'.repeat(32),
    interfaceName: 'eth0',
  }
  const sandbox: SandboxRecord = {
    id: 'c3'.repeat(32),
    containerId: 'container1',
    hostname: 'container1',
    phase: 'ready',
    key: '/run/net/x',
  }
  return { driver, network, endpoint, sandbox }
}

/** Without the members that are undefined, as JSON has it. */
function defined(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze)
  return value
}
