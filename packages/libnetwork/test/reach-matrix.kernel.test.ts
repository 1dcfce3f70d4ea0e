import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { expect, it } from 'vitest'
import { openController, type Controller } from '../src/index.ts'
import {
  addressesOf,
  filterBridges,
  hostAddress,
  Outside,
  outsideAddress,
  type Place,
  placeIn,
  placeOnHost,
} from './reach-lab.ts'

await enterFreshHost()

/** Who reaches whom, over the choices of a network. `UPDATE_GOLDEN=1` writes it anew. */
const golden = new URL('fixtures/reach.txt', import.meta.url)

interface Choice {
  readonly mode: 'nat' | 'nat-unprotected' | 'routed' | 'isolated'
  readonly icc: boolean
  readonly internal: boolean
  readonly binding?: string
}

const choices: readonly Choice[] = [
  ...(['nat', 'nat-unprotected', 'routed'] as const).flatMap((mode) => [
    { mode, icc: true, internal: false },
    // Refused with routed ports, which are not asked for at the host's addresses.
    ...(mode === 'routed' ? [] : ['127.0.0.1', hostAddress[6]]).map((binding) => {
      return { mode, icc: true, internal: false, binding }
    }),
    { mode, icc: false, internal: false },
  ]),
  ...(['nat', 'isolated'] as const).flatMap((mode) => [
    { mode, icc: true, internal: true },
    { mode, icc: false, internal: true },
  ]),
]

type Family = 4 | 6
/** One who asks, and what. */
type Probe = (family: Family, scene: Scene) => Promise<boolean>

/** A network with two containers, `web` with a published port; another network; a machine outside. */
interface Scene {
  readonly web: Place
  readonly peer: Place
  readonly other: Place
  readonly outside: Place
  readonly host: Place
  readonly address: Readonly<Record<Family, string>>
  /** Where the host asks for the published port. */
  readonly published: Readonly<Record<Family, string>>
}

/** `own`: the container's own address, at the port that it publishes, or another; `host`: the published port. */
const columns: Readonly<Record<string, Probe>> = {
  'outside>own': (family, { outside, address }) => outside.reaches(address[family], 80),
  'outside>own other': (family, { outside, address }) => outside.reaches(address[family], 81),
  'outside>host': (family, { outside }) => outside.reaches(hostAddress[family], 8080),
  'network2>own': (family, { other, address }) => other.reaches(address[family], 80),
  'network2>own other': (family, { other, address }) => other.reaches(address[family], 81),
  'network2>host': (family, { other }) => other.reaches(hostAddress[family], 8080),
  'peer>own other': (family, { peer, address }) => peer.reaches(address[family], 81),
  'peer>host': (family, { peer }) => peer.reaches(hostAddress[family], 8080),
  'host>own other': (family, { host, address }) => host.reaches(address[family], 81),
  'host>host': (family, { host, published }) => host.reaches(published[family], 8080),
  'web>outside': (family, { web }) => web.reaches(outsideAddress[family], 80),
}

/** The families of those that get through: `46`, `4-`, `-6` or `--`. */
async function cell(probe: Probe, scene: Scene): Promise<string> {
  const [four, six] = await Promise.all([probe(4, scene), probe(6, scene)])
  return `${four ? '4' : '-'}${six ? '6' : '-'}`
}

async function row(
  net: Controller,
  choice: Choice,
  around: Pick<Scene, 'other' | 'outside' | 'host'>,
): Promise<string> {
  const { mode, icc, internal, binding } = choice
  const network = await net.createNetwork({
    name: 'network1',
    internal,
    ipam: { pools: [{ pool: '10.8.0.0/24' }, { pool: 'fd08::/64' }] },
    options: {
      'com.docker.network.bridge.gateway_mode_ipv4': mode,
      'com.docker.network.bridge.gateway_mode_ipv6': mode,
      'com.docker.network.bridge.enable_icc': icc,
      ...(binding === undefined ? {} : { 'com.docker.network.bridge.host_binding_ipv4': binding }),
    },
  })
  const ports = internal ? [] : [{ containerPort: 80, hostPort: 8080 }]
  const web = await net.attach({ network, endpoint: { name: 'web', ports }, sandbox: { containerId: 'web' } })
  const peer = await net.attach({ network, endpoint: { name: 'peer' }, sandbox: { containerId: 'peer' } })
  const scene: Scene = {
    ...around,
    web: await placeIn(web.sandbox, 'web'),
    peer: await placeIn(peer.sandbox, 'peer'),
    address: addressesOf(web.endpoint),
    published: { ...hostAddress, ...(binding === '127.0.0.1' ? { 4: binding } : {}) },
  }

  const cells = await Promise.all(Object.values(columns).map((probe) => cell(probe, scene)))

  await Promise.all([scene.web.close(), scene.peer.close()])
  await web.sandbox.delete()
  await peer.sandbox.delete()
  await network.delete()
  const title = `${mode}${icc ? '' : ', no icc'}${internal ? ', internal' : ''}${binding === undefined ? '' : `, at ${binding}`}`
  return `${title.padEnd(32)}${cells.map((text, at) => text.padStart(widths[at] ?? 0)).join('')}`
}

const widths = Object.keys(columns).map((name) => name.length + 2)
const heading = `${' '.repeat(32)}${Object.keys(columns)
  .map((name, at) => name.padStart(widths[at] ?? 0))
  .join('')}`

const hasIptables = spawnSync('iptables', ['--version'], { stdio: 'ignore' }).status === 0
const backEnds = hasIptables ? (['nftables', 'iptables'] as const) : (['nftables'] as const)

describeKernel('who reaches whom', () => {
  it.each(
    backEnds.flatMap((firewall) => [
      ['past the packet rules', false, firewall] as const,
      ['through the packet rules', true, firewall] as const,
    ]),
  )(
    'is as the table says, where frames on bridges go %s (%s, %s)',
    { timeout: 120_000 },
    async (_, filtered, firewall) => {
      filterBridges(filtered)
      await using net = await openController({ firewall })
      const outside = await Outside.open()
      const network2 = await net.createNetwork({
        name: 'network2',
        ipam: { pools: [{ pool: '10.9.0.0/24' }, { pool: 'fd09::/64' }] },
      })
      const { sandbox } = await net.attach({
        network: network2,
        endpoint: { name: 'o' },
        sandbox: { containerId: 'o' },
      })
      const around = { outside: outside.place, other: await placeIn(sandbox, 'other'), host: await placeOnHost() }

      const rows: string[] = []
      for (const choice of choices) rows.push(await row(net, choice, around))

      await Promise.all([outside.close(), around.other.close(), around.host.close()])
      const table = [heading, ...rows, ''].join('\n')
      if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, table)
      expect(table).toBe(readFileSync(golden, 'utf8'))
    },
  )
})
