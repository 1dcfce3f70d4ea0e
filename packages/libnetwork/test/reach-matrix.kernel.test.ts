import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type ControllerOptions } from '../src/index.ts'
import {
  addressesOf,
  filterBridges,
  hostAddress,
  Outside,
  outsideAddress,
  packetRules,
  type Place,
  placeAt,
  placeOnHost,
} from './reach-lab.ts'
import {
  cellOf,
  choices,
  promised,
  tableOf,
  ways,
  type Cell,
  type Choice,
  type Family,
  type Way,
} from './reach-model.ts'

await enterFreshHost()

/** Who reaches whom, over the choices of a network, for people to read. `UPDATE_GOLDEN=1` writes it anew. */
const golden = new URL('fixtures/reach.txt', import.meta.url)

it('is promised as the file has it that people read', () => {
  const text = [
    'Without a userland proxy\n',
    promised('off'),
    "With a userland proxy: the same, but for the host's ::1\n",
    promised('auto'),
  ].join('\n')

  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, text)
  expect(text).toBe(readFileSync(golden, 'utf8'))
})

/** A network with two containers, `web` with a published port; another network; a machine outside. */
interface Scene {
  readonly web: Place
  readonly peer: Place
  readonly other: Place
  readonly outside: Place
  readonly host: Place
  readonly address: Readonly<Record<Family, string>>
  /** Where the host asks for the published port, and which it is. */
  readonly published: Readonly<Record<Family, string>>
  readonly port: number
}

const loopback = { 4: '127.0.0.1', 6: '::1' } as const

/** Hundreds ask at once, on a machine that has other things to do: who is stopped waits a little longer. */
const PATIENCE_MS = 4_000

/** Who asks whom, in a scene. */
const probes: Readonly<Record<Way, (family: Family, scene: Scene) => readonly [Place, address: string, port: number]>> =
  {
    'outside>own web': (family, { outside, address }) => [outside, address[family], 80],
    'outside>own other': (family, { outside, address }) => [outside, address[family], 81],
    'outside>host': (family, { outside, port }) => [outside, hostAddress[family], port],
    'network2>own web': (family, { other, address }) => [other, address[family], 80],
    'network2>own other': (family, { other, address }) => [other, address[family], 81],
    'network2>host': (family, { other, port }) => [other, hostAddress[family], port],
    'peer>own other': (family, { peer, address }) => [peer, address[family], 81],
    'peer>host': (family, { peer, port }) => [peer, hostAddress[family], port],
    'host>own other': (family, { host, address }) => [host, address[family], 81],
    'host>host': (family, { host, published, port }) => [host, published[family], port],
    'host>loopback': (family, { host, port }) => [host, loopback[family], port],
    'web>outside': (family, { web }) => [web, outsideAddress[family], 80],
  }

/** Makes the network of a choice, the `at`th of those that are there side by side, with its published port. */
async function openScene(
  net: Controller,
  { modes, icc, internal, binding }: Choice,
  { at, port }: { readonly at: number; readonly port: number },
  around: Pick<Scene, 'other' | 'outside' | 'host'>,
): Promise<Scene> {
  const network = await net.createNetwork({
    name: `network-${at}`,
    internal,
    ipam: { pools: [{ pool: `10.8.${at}.0/24` }, { pool: `fd08:0:0:${at}::/64` }] },
    options: {
      'com.docker.network.bridge.gateway_mode_ipv4': modes[4],
      'com.docker.network.bridge.gateway_mode_ipv6': modes[6],
      'com.docker.network.bridge.enable_icc': icc,
      ...(binding === undefined ? {} : { 'com.docker.network.bridge.host_binding_ipv4': binding }),
    },
  })
  const ports = internal ? [] : [{ containerPort: 80, hostPort: port }]
  const web = await net.attach({ network, endpoint: { name: 'web', ports }, sandbox: { containerId: `web-${at}` } })
  const peer = await net.attach({ network, endpoint: { name: 'peer' }, sandbox: { containerId: `peer-${at}` } })
  const [webPlace, peerPlace] = await Promise.all([placeAt(web.sandbox.key, 'web'), placeAt(peer.sandbox.key, 'peer')])
  return {
    ...around,
    web: webPlace,
    peer: peerPlace,
    address: addressesOf(web.endpoint),
    published: { ...hostAddress, ...(binding === '127.0.0.1' ? { 4: binding } : {}) },
    port,
  }
}

/** Who gets through in each scene: all ask at once. */
async function probeAll(scenes: readonly Scene[]): Promise<string> {
  const ask = (way: Way, family: Family, scene: Scene): Promise<boolean> => {
    const [place, address, port] = probes[way](family, scene)
    return place.reaches(address, port, PATIENCE_MS)
  }
  const cell = async (way: Way, scene: Scene): Promise<Cell> =>
    cellOf(...(await Promise.all([ask(way, 4, scene), ask(way, 6, scene)])))
  return tableOf(await Promise.all(scenes.map((scene) => Promise.all(ways.map((way) => cell(way, scene))))))
}

const hasIptables = spawnSync('iptables', ['--version'], { stdio: 'ignore' }).status === 0
const backEnds = hasIptables ? (['nftables', 'iptables'] as const) : (['nftables'] as const)

describeKernel('who reaches whom', () => {
  let folder: string
  let net: Controller
  let opened: { close(): Promise<void> }[]
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'reach-'))
    opened = []
  })
  afterEach(async () => {
    await Promise.all(opened.map((one) => one.close()))
    await net.close()
    await open({ onClose: 'delete' })
    await net.close()
    rmSync(folder, { recursive: true })
  })
  const open = async (options: ControllerOptions): Promise<void> => {
    net = await openController({ stateDirectory: join(folder, 'state'), ...options })
  }

  // A port where connections of a proxy ended is nobody's for a minute.
  let firstPort = 8080
  beforeEach(() => {
    firstPort += 100
  })

  it.each(
    backEnds.flatMap((firewall) => [
      ['past the packet rules', false, firewall] as const,
      ['through the packet rules', true, firewall] as const,
    ]),
  )(
    'is as promised, where frames on bridges go %s (%s, %s), without a userland proxy and with one',
    { timeout: 240_000 },
    async (_, filtered, firewall) => {
      filterBridges(filtered)
      await open({ firewall, userlandProxy: 'off' })
      const outside = await Outside.open()
      opened.push(outside)
      const network2 = await net.createNetwork({
        name: 'network2',
        ipam: { pools: [{ pool: '10.9.0.0/24' }, { pool: 'fd09::/64' }] },
      })
      const { sandbox } = await net.attach({
        network: network2,
        endpoint: { name: 'o' },
        sandbox: { containerId: 'o' },
      })
      const around = { outside: outside.place, other: await placeAt(sandbox.key, 'other'), host: await placeOnHost() }
      opened.push(around.other, around.host)
      const scenes: Scene[] = []
      for (const [at, choice] of choices.entries()) {
        const scene = await openScene(net, choice, { at, port: firstPort + at }, around)
        scenes.push(scene)
        opened.push(scene.web, scene.peer)
      }
      const rules = packetRules()

      expect(await probeAll(scenes)).toBe(promised('off'))

      // The containers go on, with the rules that they had.
      await net.close()
      await open({ firewall, userlandProxy: 'auto', onClose: 'delete' })
      expect(packetRules()).toEqual(rules)
      expect(await probeAll(scenes)).toBe(promised('auto'))
    },
  )
})
