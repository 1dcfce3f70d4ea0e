import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeKernel, enterFreshHost, ip } from '@net/netlink-ffi/testing'
import { expect, it } from 'vitest'
import { openController, type Controller } from '../../src/index.ts'
import { ExternalNamespace } from '../external-namespace.ts'
import { traces } from '../lab.ts'
import {
  compareWithEmpty,
  compareWithHost,
  compareWithNothing,
  portsToProxy,
  proxiedPorts,
  readRecords,
  recordsOf,
  refuseNothing,
  textsOf,
} from './host-check.ts'

await enterFreshHost()

/** `NET_KILLS=2000 npx vitest run --project kernel packages/libnetwork/test/crash` is the long run. */
const KILLS = Number(process.env.NET_KILLS ?? 5)
/** A kill falls between the first step of the workload and some dozens of operations later, however slow the machine is. */
const MOST_LINES = 60
/** And somewhere in a step. */
const LATEST_MS = 10
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
  /** Containers whose files were asked for. */
  readonly files = new Set<string>()
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
    else if (what === 'sandbox') this.sandboxes.add(name)
    else if (what === 'join') this.endpoints.set(name, sandbox)
    else if (what === 'leave') this.endpoints.delete(name)
    else if (what === 'files') this.files.add(name)
    else if (what === 'detach') {
      this.sandboxes.delete(name)
      this.files.delete(name)
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

  /** Containers that are to have files. */
  withFiles(): string[] {
    return [...this.files].filter((name) => !this.#isUncertain(name))
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
    for (const name of this.files) if (!this.sandboxes.has(name)) this.files.delete(name)
    for (const endpoint of controller.networks().flatMap((network) => network.endpoints())) {
      const sandbox = controller.sandboxes().find(({ id }) => id === endpoint.sandboxId)
      this.endpoints.set(endpoint.name, sandbox?.containerId ?? '')
      this.ports.set(endpoint.name, new Set(textsOf(endpoint)))
    }
  }
}

function portsOf(name: string): string {
  return `ports of ${name}`
}

describeKernel('a process that is killed at any moment', () => {
  it(`loses nothing and leaks nothing, ${KILLS} times`, { timeout: 30_000 + KILLS * 15_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'crash-'))
    const places = { stateDirectory: join(folder, 'state'), runtimeDirectory: join(folder, 'run') }
    const others = await Promise.all(Array.from({ length: 3 }, () => ExternalNamespace.open()))
    // Ports at one address of the host are published by IPv6 alone.
    ip('addr', 'add', 'fd99::1/128', 'dev', 'lo', 'nodad')
    const before = traces()
    const ledger = new Ledger()
    let acknowledged = 0
    for (let kill = 0; kill < KILLS; kill++) {
      // With and without, in turns: what one leaves, the other finds.
      const userlandProxy = kill % 2 === 0 ? 'off' : 'auto'
      acknowledged += await runAndKill({ ...places, userlandProxy, others }, kill, ledger)
      const controller = await openController({ ...places, userlandProxy })
      await refuseNothing(controller)
      expect(proxiedPorts()).toEqual(userlandProxy === 'off' ? [] : (await portsToProxy(controller)).sort())
      ledger.compare(controller)
      await compareWithHost(controller, folder, { others, withFiles: ledger.withFiles() })
      ledger.adopt(controller)
      const records = recordsOf(controller)
      await controller.close()
      expect(await readRecords(places.stateDirectory)).toEqual(records)
      tellProgress(kill + 1, acknowledged)
    }
    const last = await openController({ ...places, onClose: 'delete' })
    await compareWithHost(last, folder, { others })
    await last.close()
    expect(await readRecords(places.stateDirectory)).toEqual([])
    compareWithEmpty(places.runtimeDirectory)

    expect(traces()).toEqual(before)
    await compareWithNothing(others)
    expect(acknowledged).toBeGreaterThan(0)
    if (process.env.NET_KILLS !== undefined) {
      process.stdout.write(`${KILLS} kills, ${acknowledged} operations acknowledged, none lost, none leaked\n`)
    }
    await Promise.all(others.map((namespace) => namespace.close()))
    rmSync(folder, { recursive: true })
  })
})

/** A long run says how far it is. */
function tellProgress(kills: number, acknowledged: number): void {
  if (process.env.NET_KILLS === undefined || kills % 100 !== 0) return
  process.stdout.write(`${kills} of ${KILLS} kills, ${acknowledged} operations acknowledged\n`)
}

/** Runs the workload and kills it; how many operations it was told to be done. */
async function runAndKill(
  places: {
    readonly stateDirectory: string
    readonly runtimeDirectory: string
    readonly userlandProxy: 'off' | 'auto'
    readonly others: readonly ExternalNamespace[]
  },
  seed: number,
  ledger: Ledger,
): Promise<number> {
  const { stateDirectory, runtimeDirectory, userlandProxy, others } = places
  const args = [stateDirectory, runtimeDirectory, String(seed + 1), userlandProxy, ...others.map(({ path }) => path)]
  const child = spawn(process.execPath, [WORKLOAD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  let timer: NodeJS.Timeout | undefined
  let linesLeft = Math.random() * MOST_LINES
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    linesLeft -= chunk.toString().split('\n').length - 1
    if (linesLeft < 0) timer ??= setTimeout(() => child.kill('SIGKILL'), Math.random() * LATEST_MS)
  })
  const [status] = (await once(child, 'close')) as [number | null]
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
  if (status !== null) throw new Error(`the workload ended by itself, with ${status}`)
  return acknowledged
}
