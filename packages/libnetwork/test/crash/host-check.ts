import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { openLmdbStore } from '@net/datastore-lmdb'
import { listBoundSockets } from '@net/netlink-ffi'
import { expect } from 'vitest'
import type { Controller, Endpoint, Sandbox } from '../../src/index.ts'
import type { ExternalNamespace } from '../external-namespace.ts'
import { hostView } from '../host-view.ts'
import { plain } from '../lab.ts'
import { heldLines, linesOfNetwork, linesOfPlace } from '../wanted-lines.ts'

/** Sandboxes and what is in them; those that wait for a namespace have nothing of the kernel's yet. */
interface Places {
  readonly inPlace: readonly Sandbox[]
  readonly awaited: readonly Sandbox[]
}

async function placesOf(controller: Controller): Promise<Places> {
  const described = await controller.describe()
  expect(described.differences).toEqual([])
  const ids = described.sandboxes.filter(({ namespace }) => namespace === 'awaited').map(({ id }) => id)
  const all = controller.sandboxes()
  return {
    inPlace: all.filter(({ id }) => !ids.includes(id)),
    awaited: all.filter(({ id }) => ids.includes(id)),
  }
}

/**
 * What the kernel and the folder hold is what the controller says, and nothing else. In namespaces of others, which go
 * on without us, there is what their sandboxes have there; where they have none, nothing. Of the sandboxes named in
 * `withFiles`, and perhaps others, the files are there.
 */
export async function compareWithHost(
  controller: Controller,
  folder: string,
  { others = [], withFiles = [] }: { others?: readonly ExternalNamespace[]; withFiles?: readonly string[] } = {},
): Promise<void> {
  const places = await placesOf(controller)
  const run = join(folder, 'run', controller.id)
  const wanted = wantedView(controller, places)
  expect(await seenAtLast(() => hostView(controller.id, run), wanted)).toEqual(wanted)
  for (const namespace of others) await compareNamespace(namespace, places.inPlace)
  compareFiles(places, run, withFiles)
}

function wantedView(controller: Controller, { inPlace }: Places): string[] {
  const joined = inPlace.flatMap((sandbox) => sandbox.endpoints().map((endpoint) => ({ key: sandbox.key, endpoint })))
  const others = controller.endpoints().filter(({ id }) => !joined.some(({ endpoint }) => endpoint.id === id))
  return [
    ...controller.networks().flatMap(linesOfNetwork),
    ...inPlace.map(({ key }) => `namespace ${key}`),
    ...joined.flatMap(({ key, endpoint }) => {
      const network = controller.getNetwork(endpoint.networkId)
      return linesOfPlace({ key, network, endpoint, ports: endpoint.ports() })
    }),
    // What is to be published is held from the beginning.
    ...others.flatMap((endpoint) => heldLines(endpoint.ports())),
  ].sort()
}

/** The files of sandboxes are whole, and those of others are not there. */
function compareFiles({ inPlace, awaited }: Places, run: string, withFiles: readonly string[]): void {
  const sandboxes = [...inPlace, ...awaited]
  const folders = sandboxes.map(({ key }) => `${key}.files`)
  const found = readdirSync(run).flatMap((name) => (name.endsWith('.files') ? [join(run, name)] : []))
  expect(found.filter((path) => !folders.includes(path))).toEqual([])
  for (const sandbox of sandboxes) {
    const folder = `${sandbox.key}.files`
    if (withFiles.includes(sandbox.containerId)) expect(found).toContain(folder)
    if (!found.includes(folder)) continue
    expect(readdirSync(folder).sort()).toEqual(['hostname', 'hosts', 'resolv.conf', 'resolv.conf.hash'])
    const [hosts = '', resolvConf = '', hostname = ''] = ['hosts', 'resolv.conf', 'hostname'].map((name) =>
      readFileSync(join(folder, name), 'utf8'),
    )
    expect(hostname.trim()).not.toBe('')
    expect(resolvConf).toContain('nameserver 127.0.0.11')
    const lines = hosts.split('\n').filter((line) => line !== '')
    expect(lines).toContain('127.0.0.1\tlocalhost')
    const own = lines.flatMap((line) => (line.endsWith(`\t${hostname.trim()}`) ? [line.split('\t')[0]] : []))
    // Of one that waits for its namespace nobody knows addresses yet, and nobody those on the gateway network.
    const endpoints = awaited.includes(sandbox) ? [] : sandbox.endpoints()
    const named = endpoints.filter(({ name }) => name !== `gateway_${sandbox.id}`)
    const addresses = named.flatMap(({ address, address6 }) => [address, address6].flatMap(plainOf))
    expect([sandbox.containerId, own.sort()]).toEqual([sandbox.containerId, addresses.sort()])
  }
}

function plainOf(cidr: string | undefined): string[] {
  return cidr === undefined ? [] : [plain(cidr)]
}

/** What the records of a controller are to be, by what it says. */
export function recordsOf(controller: Controller): string[] {
  return [
    ...controller.networks().map(({ id }) => `networks/${id}`),
    ...controller.endpoints().map(({ id }) => `endpoints/${id}`),
    ...controller.sandboxes().map(({ id }) => `sandboxes/${id}`),
  ].sort()
}

/** The records that a controller which was closed has left. */
export async function readRecords(stateDirectory: string): Promise<string[]> {
  const store = await openLmdbStore({ path: join(stateDirectory, 'store') })
  try {
    const { entries } = await store.list('')
    return entries.map(({ key }) => key).filter((key) => /^(networks|endpoints|sandboxes)\//.test(key))
  } finally {
    await store.close()
  }
}

/** Nothing is left below a runtime directory whose controllers are gone. */
export function compareWithEmpty(runtimeDirectory: string): void {
  expect(existsSync(runtimeDirectory) ? readdirSync(runtimeDirectory) : []).toEqual([])
}

/** Namespaces of others are as they were. */
export async function compareWithNothing(others: readonly ExternalNamespace[]): Promise<void> {
  for (const namespace of others) await compareNamespace(namespace, [])
}

async function compareNamespace(namespace: ExternalNamespace, sandboxes: readonly Sandbox[]): Promise<void> {
  const owners = sandboxes.filter(({ key }) => namespace.isAt(key))
  const wanted = owners.flatMap((sandbox) => sandbox.endpoints().map(({ interfaceName }) => interfaceName ?? '')).sort()
  expect(await seenAtLast(() => namespace.links().sort(), wanted)).toEqual(wanted)
  expect(namespace.rules().match(/^table .*(?= \{)/gm) ?? []).toEqual(owners.map(() => 'table ip net-resolver'))
}

const PATIENCE_MS = 1_000
const PAUSE_MS = 50

/**
 * What is seen, as soon as it is what is wanted, or in the end: the kernel takes down a little later what is taken out
 * of a namespace. A poll of vitest's would keep the controllers of all kills until the last.
 */
async function seenAtLast(look: () => string[], wanted: readonly string[]): Promise<string[]> {
  const end = performance.now() + PATIENCE_MS
  for (;;) {
    const seen = look()
    if (isDeepStrictEqual(seen, wanted) || performance.now() > end) return seen
    await sleep(PAUSE_MS)
  }
}

/** Every record was understood. */
export async function refuseNothing(controller: Controller): Promise<void> {
  for await (const event of controller.events({ after: 0, signal: AbortSignal.timeout(10) })) {
    if (event.kind === 'drift' && event.outcome === 'lost')
      throw new Error(`lost: ${event.what}`, { cause: event.error })
    if (event.kind === 'proxy-lost') throw new Error('the userland proxy was lost', { cause: event.error })
    if (event.kind === 'port-lost') throw new Error('a port was lost', { cause: event })
    if (event.kind === 'record-refused') throw new Error(`${event.key} was refused`, { cause: event.error })
  }
}

/** Its published ports: `tcp 32768`, and `tcp 32768 5` for five from this one on. */
export function textsOf(endpoint: Endpoint): string[] {
  return endpoint
    .ports()
    .map(({ protocol, hostPort, count }) => [protocol, hostPort, ...(count === undefined ? [] : [count])].join(' '))
    .sort()
}

/** The ports that somebody is to serve at `::1` where a userland proxy is asked for: those that are published everywhere. */
export async function portsToProxy(controller: Controller): Promise<string[]> {
  const { inPlace } = await placesOf(controller)
  const ports = inPlace.flatMap((sandbox) => sandbox.endpoints()).flatMap((endpoint) => endpoint.ports())
  const everywhere = ports.filter(({ hostAddress }) => hostAddress === undefined)
  return heldLines(everywhere).map((line) => line.replace('held ', ''))
}

/** The ports that somebody serves at `::1`. */
export function proxiedPorts(): string[] {
  const sockets = (['tcp', 'udp'] as const).flatMap(listBoundSockets)
  return sockets.flatMap(({ protocol, address, port }) => (address === '::1' ? `${protocol} ${port}` : [])).sort()
}
