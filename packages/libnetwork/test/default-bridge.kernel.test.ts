import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RouteSocket } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, ip } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  openController,
  type Attachment,
  type Controller,
  type ControllerOptions,
  type Network,
  type Options,
} from '../src/index.ts'
import { addressesOf, filterBridges, placeIn } from './reach-lab.ts'

await enterFreshHost()

let folder: string
let net: Controller
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'default-'))
})
afterEach(async () => {
  await net.close()
  // Those who kept what they had.
  await open().then(() => net.close())
  rmSync(folder, { recursive: true })
})

async function open(options: ControllerOptions = {}): Promise<void> {
  net = await openController({ stateDirectory: join(folder, 'state'), onClose: 'delete', ...options })
}

function create(options: Options = {}): Promise<Network> {
  return net.createNetwork({
    name: 'bridge',
    ipam: { pools: [{ pool: '10.8.0.0/24' }, { pool: 'fd08::/64' }] },
    options: { 'com.docker.network.bridge.default_bridge': true, ...options },
  })
}

const isThere = (bridge: string): boolean =>
  (ip('link', 'show', 'type', 'bridge') as { ifname: string }[]).some(({ ifname }) => ifname === bridge)

describeKernel('the default network', () => {
  it('is on docker0, which is made where it is missing and goes with it', async () => {
    await open()
    const network = await create()
    expect(isThere('docker0')).toBe(true)

    await network.delete()

    expect(isThere('docker0')).toBe(false)
  })

  it.each([
    ['docker0', {}],
    ['br-own', { 'com.docker.network.bridge.name': 'br-own' }],
  ])('uses %s where the host has it, and leaves it there', async (name, options) => {
    using routes = RouteSocket.open()
    const { index } = routes.createLink({ kind: 'bridge', name })
    await open()

    await (await create(options)).delete()

    expect(routes.getLink(name).index).toBe(index)
    await routes.deleteLinks([name])
  })
})

describe.each([
  ['pass frames on bridges by', false, 'nftables'],
  ['pass frames on bridges through the packet rules', true, 'nftables'],
  ['pass frames on bridges by', false, 'iptables'],
] as const)('on hosts that %s (%s, %s)', (_, filtered, firewall) => {
  describeKernel('containers of the default network that may not speak with each other', () => {
    let attached: Record<'db' | 'web' | 'other', Attachment>
    beforeEach(async () => {
      filterBridges(filtered)
      await open({ firewall, onClose: 'keep' })
      const network = await create({ 'com.docker.network.bridge.enable_icc': false })
      const attach = (name: string, exposed: readonly number[], links?: object): Promise<Attachment> =>
        net.attach({
          network,
          endpoint: {
            name,
            exposed: exposed.map((port) => ({ protocol: 'tcp', port })),
            ...(links === undefined ? {} : { options: { 'com.docker.network.generic': links } }),
          },
          sandbox: { containerId: name },
        })
      const db = await attach('db', [80])
      const web = await attach('web', [81], { ChildEndpoints: [db.endpoint.id] })
      const other = await attach('other', [81], { ParentEndpoints: [db.endpoint.id] })
      attached = { db, web, other }
    })

    /** Who reaches which port of whom: `web>db:80 over IPv4`. */
    async function reached(...names: readonly ('db' | 'web' | 'other')[]): Promise<string[]> {
      const opened = await Promise.all(
        names.map(async (name) => [name, await placeIn(net.getSandbox(name), name)] as const),
      )
      const answers = opened.flatMap(([from, place]) =>
        names
          .filter((to) => to !== from)
          .flatMap((to) =>
            ([4, 6] as const).flatMap((family) =>
              [80, 81].map(async (port) => {
                const isReached = await place.reaches(addressesOf(attached[to].endpoint)[family], port)
                return isReached ? [`${from}>${to}:${port} over IPv${family}`] : []
              }),
            ),
          ),
      )
      const found = (await Promise.all(answers)).flat()
      await Promise.all(opened.map(([, place]) => place.close()))
      return found
    }

    it('reach what those expose that they are linked to, over both families, also after opening again', async () => {
      const linked = ['db>other:81', 'web>db:80'].flatMap((who) => [`${who} over IPv4`, `${who} over IPv6`])
      expect(await reached('db', 'web', 'other')).toEqual(linked)

      await net.close()
      await open({ firewall })

      expect(await reached('db', 'web', 'other')).toEqual(linked)
      await net.getSandbox('web').delete()
      expect(await reached('db', 'other')).toEqual(linked.slice(0, 2))
    })
  })
})

describeKernel('where the kernel has no br_netfilter, or half of it', () => {
  const PROGRAM = fileURLToPath(new URL('without-br-netfilter.mjs', import.meta.url))

  /** Runs the program on a host of its own, whose `/proc/sys/net/bridge` has these settings alone. */
  const runWith = (settings: readonly string[], families: string): unknown => {
    const hide = [
      'mount -t tmpfs none /proc/sys/net/bridge',
      ...settings.map((name) => `echo 1 > /proc/sys/net/bridge/${name}`),
    ]
    const script = [...hide, 'exec "$0" "$@"'].join(' && ')
    const args = ['--net', '--mount', 'sh', '-c', script, process.execPath, PROGRAM, families]
    return JSON.parse(execFileSync('unshare', args, { encoding: 'utf8' }))
  }

  it.each([
    ['both families', []],
    ['IPv4', []],
    ['both families', ['bridge-nf-call-iptables']],
    ['both families', ['bridge-nf-call-ip6tables']],
  ])(
    'containers of %s are refused that could not be kept apart (there is %j), and others are not',
    (families, settings) => {
      expect(runWith(settings, families)).toEqual({
        onDefault: {
          code: 'ERR_BRIDGE_FILTERING_UNSUPPORTED',
          kind: 'not-implemented',
          message: 'the kernel lacks br_netfilter: expected net.bridge.bridge-nf-call-iptables and -ip6tables',
          left: { links: 0, endpoints: [], sandboxes: [] },
        },
        onOther: 'attached',
      })
    },
  )
})
