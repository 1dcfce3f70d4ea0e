import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryStore, type Store } from '@net/datastore'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type ControllerEvent } from '../src/index.ts'
import { startRawPlugin, type RawPlugin } from './driver-plugins/raw-plugin.ts'
import { traces, type Traces } from './lab.ts'

await enterFreshHost()

/** Values that no member of a record is meant to have, save for some where some are. */
const HOSTILE: readonly unknown[] = [
  ...[null, true, -1, 0, 1.5, 70_000, 1e300, [], {}, [null], { a: 1 }],
  ...['', ' ', 'eth0', '../../etc', '10.0.0.1', '10.0.0.0/8', 'fd00::/64', '\u0000', 'x'.repeat(70_000)],
]

let folder: string
let local: Store
let before: Traces
let plugin: RawPlugin

beforeEach(async () => {
  before = traces()
  folder = mkdtempSync(join(tmpdir(), 'records-'))
  plugin = await startRawPlugin(join(folder, 'raw.sock'))
  local = memoryStore()
})
afterEach(async () => {
  const last = await open('delete')
  await last.close()
  await local.close()
  await plugin[Symbol.asyncDispose]()
  expect(traces()).toEqual(before)
  rmSync(folder, { recursive: true })
})

function open(onClose: 'keep' | 'delete' = 'keep'): Promise<Controller> {
  const plugins = { socketFolders: [folder], specFolders: [], timeoutMs: 1000, retryMs: 0 }
  return openController({ stores: { local }, runtimeDirectory: join(folder, 'run'), onClose, plugins })
}

/** Networks with options of every sort, and containers on them. */
async function makeSomeOfEverything(): Promise<void> {
  const net = await open()
  await net.createNetwork({ name: 'settings', configOnly: true, labels: { a: 'b' }, ipv6: true })
  const blue = await net.createNetwork({
    ...{ name: 'blue', ipv6: true, labels: { colour: 'blue' } },
    ipam: {
      pools: [{ pool: '10.7.0.0/16', subPool: '10.7.1.0/24', auxAddresses: { printer: '10.7.0.9' } }],
      options: { vlan: '7' },
    },
    options: { 'com.docker.network.driver.mtu': 1400, 'com.docker.network.bridge.gateway_mode_ipv6': 'routed' },
  })
  const green = await net.createNetwork({ name: 'green', internal: true })
  await net.attach({
    network: blue,
    endpoint: {
      ...{ name: 'web', aliases: ['www'], ports: [{ containerPort: 80 }, { containerPort: 90, containerPortEnd: 99 }] },
      ...{ exposed: [{ protocol: 'udp', port: 53 }], routes: [{ destination: '192.0.2.0/24' }] },
      ipamOptions: { lease: 'long' },
      options: { 'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.forwarding=1' },
    },
    sandbox: {
      ...{ containerId: 'web', labels: { tier: 'web' } },
      ...{ extraHosts: { router: '10.7.0.1' }, dns: { search: ['example'] } },
    },
  })
  await (await green.createEndpoint({ name: 'web' })).join(net.getSandbox('web'), { priority: 3, aliases: { db: 'x' } })
  const plugged = await net.createNetwork({
    name: 'plugged',
    driver: 'raw',
    ipam: { pools: [{ pool: '10.40.0.0/24' }] },
  })
  await net.attach({ network: plugged, endpoint: { name: 'plugged' }, sandbox: { containerId: 'plugged' } })
  await net.close()
}

/** What a controller says when it is opened now. */
async function whatIsSaid(): Promise<ControllerEvent[]> {
  await using net = await open()
  const events: ControllerEvent[] = []
  for await (const event of net.events({ after: 0 })) {
    events.push(event)
    if (event.kind === 'recovered') break
  }
  return events
}

/** What there is, in words that compare. */
function everything(net: Controller): unknown {
  return {
    id: net.id,
    networks: net.networks().map(({ name, options }) => [name, options]),
    endpoints: net
      .networks()
      .flatMap((network) =>
        network.endpoints().map((one) => [network.name, one.name, one.address, one.address6, one.ports()]),
      ),
    sandboxes: net.sandboxes().map((sandbox) => [sandbox.containerId, sandbox.endpoints().length]),
  }
}

type Path = readonly (string | number)[]

/** Ways to every member of a JSON value. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([key, member]) => pathsOf(member, [...path, key]))]
}

/** The value with that member another, or without it. */
function changed(value: unknown, [key, ...rest]: Path, by: { readonly to: unknown } | 'gone'): unknown {
  if (key === undefined) return by === 'gone' ? null : by.to
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }) as Record<string, unknown>
  if (rest.length === 0 && by === 'gone') Reflect.deleteProperty(copy, key)
  else copy[key] = changed(copy[key], rest, by)
  return copy
}

const read = async (key: string): Promise<unknown> => JSON.parse(new TextDecoder().decode((await local.get(key)).value))
const keys = async (): Promise<string[]> =>
  (await local.list('')).entries.map(({ key }) => key).filter((key) => !key.startsWith('set-aside/'))
const write = (key: string, value: unknown): Promise<unknown> =>
  local.put(key, new TextEncoder().encode(JSON.stringify(value)))

describeKernel('records with any member changed', () => {
  it(
    'hide no others: what cannot be read is named, and is there again when it is mended',
    { timeout: 120_000 },
    async () => {
      await makeSomeOfEverything()
      const sound = new Map<string, unknown>()
      for (const key of await keys()) sound.set(key, await read(key))
      const first = await open()
      const whole = everything(first)
      await first.close()
      const places = [...sound]
        .flatMap(([key, value]) => pathsOf(value).map((path) => ({ key, path })))
        // A controller of a newer version is refused as a whole.
        .filter(({ key, path }) => key !== 'controllers/self' || path[0] !== 'version')

      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...places),
          fc.oneof(fc.constant('gone' as const), fc.record({ to: fc.constantFrom(...HOSTILE) })),
          async ({ key, path }, by) => {
            await write(key, changed(sound.get(key), path, by))
            try {
              const events = await whatIsSaid()
              if (!events.some(({ kind }) => kind === 'record-refused')) return // Another state, but one.
            } finally {
              await write(key, sound.get(key))
              // A gateway network that the changed record wanted.
              for (const added of await keys()) if (!sound.has(added)) await local.delete(added)
            }
            await using mended = await open()
            expect(everything(mended)).toEqual(whole)
          },
        ),
        { numRuns: 100 },
      )
    },
  )
})

describeKernel('records that were written long ago', () => {
  // Written once, by makeSomeOfEverything with an endpoint that is in no sandbox. They are never changed: users have such.
  const fixtureOf = (version: number): URL => new URL(`fixtures/records-of-version-${version}.json`, import.meta.url)

  it.each([1, 2])(
    'are read, those of version %i: all is there again but sandboxes whose namespaces are gone',
    async (version) => {
      const fixture = fixtureOf(version)
      const records = JSON.parse(readFileSync(fixture, 'utf8')) as Record<string, unknown>
      for (const [key, value] of Object.entries(records)) await write(key, value)

      expect((await whatIsSaid()).at(-1)).toMatchObject({
        ...{ kind: 'recovered', networks: 3, endpoints: 1, sandboxes: 0, gone: ['web'], refused: [] },
      })
      await using net = await open()
      expect(new Set(net.networks().map(({ name }) => name))).toEqual(new Set(['settings', 'blue', 'green']))
      expect(net.getNetwork('blue').options).toMatchObject({ mtu: 1400, gatewayModes: { ipv6: 'routed' } })
      expect(net.getNetwork('green').getEndpoint('spare').address).toBe('172.17.0.3/16')
      expect(net.getNetwork('blue')).toMatchObject(
        version === 1
          ? { created: undefined, ipamOptions: {} }
          : { created: expect.any(Date) as Date, ipamOptions: { vlan: '7' } },
      )
      await net.createNetwork({ name: 'derived', configFrom: 'settings' })
      expect(net.getNetwork('derived')).toMatchObject({
        labels: { a: 'b' },
        ipv6: { pool: expect.any(String) as string },
      })
    },
  )
})
