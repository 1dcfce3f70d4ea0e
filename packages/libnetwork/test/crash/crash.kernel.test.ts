import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { listBoundSockets } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, ip, ipIn, nftRuleset } from '@net/netlink-ffi/testing'
import { expect, it } from 'vitest'
import { openController, type Controller, type Endpoint } from '../../src/index.ts'
import { traces } from '../lab.ts'

await enterFreshHost()

/** `NET_KILLS=2000 npx vitest run --project kernel packages/libnetwork/test/crash` is the long run. */
const KILLS = Number(process.env.NET_KILLS ?? 5)
/** A kill falls between the first step of the workload and some dozens of operations later. */
const LATEST_MS = { off: 120, auto: 500 } // a proxy takes its time to start
const WORKLOAD = fileURLToPath(new URL('workload.mjs', import.meta.url))

interface Said {
  readonly do: string
  readonly name: string
  readonly sandbox?: string
  /** Published, and taken back: `tcp 32768`. */
  readonly got?: readonly string[]
  readonly gave?: readonly string[]
  readonly endpoints?: readonly string[]
}

/** What the workload was told that it has, and what nobody knows because it was killed before it was told. */
class Ledger {
  readonly networks = new Set<string>()
  /** Endpoints with the containers that they are in. */
  readonly endpoints = new Map<string, string>()
  readonly ports = new Map<string, Set<string>>()
  readonly sandboxes = new Set<string>()
  /** How many operations on each are under way. */
  readonly #underWay = new Map<string, number>()

  begins({ do: what, name, endpoints = [] }: Said): void {
    for (const one of [name, ...endpoints]) this.#count(what, one, 1)
  }

  ends({ do: what, name, sandbox = name, got = [], gave = [], endpoints = [] }: Said): void {
    for (const one of [name, ...endpoints]) this.#count(what, one, -1)
    if (what === 'network') this.networks.add(name)
    else if (what === 'deleteNetwork') this.networks.delete(name)
    else if (what === 'attach') this.#attached(name)
    else if (what === 'join') this.endpoints.set(name, sandbox)
    else if (what === 'leave') this.endpoints.delete(name)
    else if (what === 'detach') {
      this.sandboxes.delete(name)
      // Those too that joined it while it was picked.
      for (const [one, container] of this.endpoints) if (container === name) this.endpoints.delete(one)
    }
    const ports = this.ports.get(name) ?? new Set()
    this.ports.set(name, ports)
    for (const port of got) ports.add(port)
    for (const port of gave) ports.delete(port)
  }

  #count(what: string, name: string, change: number): void {
    const key = what === 'publish' ? portsOf(name) : name
    this.#underWay.set(key, (this.#underWay.get(key) ?? 0) + change)
  }

  #isUncertain(name: string): boolean {
    const isUnderWay = (one: string): boolean => (this.#underWay.get(one) ?? 0) > 0
    return isUnderWay(name) || isUnderWay(this.endpoints.get(name) ?? '')
  }

  #attached(name: string): void {
    this.sandboxes.add(name)
    this.endpoints.set(name, name)
  }

  /** What the controller says is what the workload was told, but for what was under way. */
  compare(controller: Controller): void {
    const certain = (names: Iterable<string>): string[] => [...names].filter((name) => !this.#isUncertain(name)).sort()
    const endpoints = controller.networks().flatMap((network) => network.endpoints())
    expect(certain(controller.networks().map(({ name }) => name))).toEqual(certain(this.networks))
    expect(certain(controller.sandboxes().map(({ containerId }) => containerId))).toEqual(certain(this.sandboxes))
    expect(certain(endpoints.map(({ name }) => name))).toEqual(certain(this.endpoints.keys()))
    for (const endpoint of endpoints) {
      if (this.#isUncertain(endpoint.name) || this.#isUncertain(portsOf(endpoint.name))) continue
      expect([endpoint.name, textsOf(endpoint)]).toEqual([
        endpoint.name,
        [...(this.ports.get(endpoint.name) ?? [])].sort(),
      ])
    }
  }

  /** From here on, what is there is what the workload has. */
  adopt(controller: Controller): void {
    this.#underWay.clear()
    for (const set of [this.networks, this.sandboxes, this.endpoints, this.ports]) set.clear()
    for (const { name } of controller.networks()) this.networks.add(name)
    for (const { containerId } of controller.sandboxes()) this.sandboxes.add(containerId)
    for (const endpoint of controller.networks().flatMap((network) => network.endpoints())) {
      const sandbox = controller.sandboxes().find(({ id }) => id === endpoint.sandboxId)
      this.endpoints.set(endpoint.name, sandbox?.containerId ?? '')
      this.ports.set(endpoint.name, new Set(textsOf(endpoint)))
    }
  }
}

function textsOf(endpoint: Endpoint): string[] {
  return endpoint
    .ports()
    .map(({ protocol, hostPort }) => `${protocol} ${hostPort}`)
    .sort()
}

function portsOf(name: string): string {
  return `ports of ${name}`
}

/** What the kernel and the folder hold is what the controller says, and nothing else. */
function compareWithHost(controller: Controller, folder: string): void {
  const joined = controller
    .sandboxes()
    .flatMap((sandbox) => sandbox.endpoints().map((endpoint) => ({ sandbox, endpoint })))
  const own = (ip('link', 'show') as { ifname: string; ifalias?: string; linkinfo?: { info_kind?: string } }[]).filter(
    ({ ifalias }) => ifalias === `net:${controller.id}`,
  )
  const bridges = own.filter(({ linkinfo }) => linkinfo?.info_kind === 'bridge').map(({ ifname }) => ifname)
  expect(bridges.sort()).toEqual(
    controller
      .networks()
      .map(({ options }) => (options as { bridge: string }).bridge)
      .sort(),
  )
  expect(own.length - bridges.length).toBe(joined.length)
  const keys = controller.sandboxes().map(({ key }) => key)
  const held = readdirSync(join(folder, 'run', controller.id)).filter((name) => !/^proxy$|\.files$/.test(name))
  expect(held.map((name) => join(folder, 'run', controller.id, name)).sort()).toEqual(keys.sort())
  for (const { sandbox, endpoint } of joined) {
    const [link] = ipIn(sandbox.key, 'addr', 'show', endpoint.interfaceName ?? '') as {
      addr_info: { local: string; prefixlen: number }[]
    }[]
    const addresses = link?.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`) ?? []
    expect(addresses).toEqual(
      expect.arrayContaining([endpoint.address, endpoint.address6].filter((one) => one !== undefined)),
    )
  }
  const ports = joined.flatMap(({ endpoint }) => textsOf(endpoint))
  expect(publishedPorts().sort()).toEqual(ports.sort())
}

/** The ports that IPv4 packets are led by, as `nft` tells. */
function publishedPorts(): string[] {
  const { nftables } = nftRuleset() as {
    nftables: { map?: { name: string; elem?: [{ concat: [string, number] }, unknown][] } }[]
  }
  const elements = nftables.flatMap(({ map }) => (map?.name === 'ports4' ? (map.elem ?? []) : []))
  return elements.map(([{ concat }]) => `${concat[0]} ${concat[1]}`)
}

/** The ports that somebody serves at `::1`. */
function proxiedPorts(): string[] {
  const sockets = (['tcp', 'udp'] as const).flatMap(listBoundSockets)
  return sockets.flatMap(({ protocol, address, port }) => (address === '::1' ? `${protocol} ${port}` : [])).sort()
}

describeKernel('a process that is killed at any moment', () => {
  it(`loses nothing and leaks nothing, ${KILLS} times`, { timeout: 30_000 + KILLS * 5_000 }, async () => {
    const before = traces()
    const folder = mkdtempSync(join(tmpdir(), 'crash-'))
    const places = { stateDirectory: join(folder, 'state'), runtimeDirectory: join(folder, 'run') }
    const ledger = new Ledger()
    let acknowledged = 0
    for (let kill = 0; kill < KILLS; kill++) {
      // With and without, in turns: what one leaves, the other finds.
      const userlandProxy = kill % 2 === 0 ? 'off' : 'auto'
      acknowledged += await runAndKill({ ...places, userlandProxy }, kill, ledger)
      const controller = await openController({ ...places, userlandProxy })
      expect(proxiedPorts()).toEqual(userlandProxy === 'off' ? [] : publishedPorts().sort())
      await refuseNothing(controller)
      ledger.compare(controller)
      compareWithHost(controller, folder)
      ledger.adopt(controller)
      await controller.close()
    }
    const last = await openController({ ...places, onClose: 'delete' })
    compareWithHost(last, folder)
    await last.close()

    expect(traces()).toEqual(before)
    expect(acknowledged).toBeGreaterThan(KILLS)
    if (process.env.NET_KILLS !== undefined) {
      process.stdout.write(`${KILLS} kills, ${acknowledged} operations acknowledged, none lost, none leaked\n`)
    }
    rmSync(folder, { recursive: true })
  })
})

/** Every record was understood. */
async function refuseNothing(controller: Controller): Promise<void> {
  for await (const event of controller.events({ after: 0, signal: AbortSignal.timeout(10) })) {
    if (event.kind === 'drift' && event.outcome === 'lost')
      throw new Error(`lost: ${event.what}`, { cause: event.error })
    if (event.kind === 'record-refused') throw new Error(`${event.key} was refused`, { cause: event.error })
  }
}

/** Runs the workload and kills it; how many operations it was told to be done. */
async function runAndKill(
  places: { stateDirectory: string; runtimeDirectory: string; userlandProxy: 'off' | 'auto' },
  seed: number,
  ledger: Ledger,
): Promise<number> {
  const { stateDirectory, runtimeDirectory, userlandProxy } = places
  const child = spawn(process.execPath, [WORKLOAD, stateDirectory, runtimeDirectory, String(seed + 1), userlandProxy], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  let timer: NodeJS.Timeout | undefined
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    timer ??= setTimeout(() => child.kill('SIGKILL'), Math.random() * LATEST_MS[userlandProxy])
  })
  await once(child, 'close')
  clearTimeout(timer)
  let acknowledged = 0
  for (const line of output.split('\n').slice(0, -1)) {
    const said = JSON.parse(line.slice(2)) as Said
    if (line.startsWith('>')) ledger.begins(said)
    else if (line.startsWith('<')) {
      ledger.ends(said)
      acknowledged++
    } else if (line.startsWith('!')) throw new Error(`the workload met ${line}`)
  }
  return acknowledged
}
