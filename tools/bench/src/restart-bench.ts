import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '@net/datastore'
import { openLmdbStore } from '@net/datastore-lmdb'
import { RouteSocket } from '@net/netlink-ffi'
import { openController, type Controller, type CreateSandboxRequest } from '@net/libnetwork'
import { collectGarbage, longestStall, median, pause, timed, type Measurement } from './measure.ts'
import { measurePeers } from './peers/measure-peers.ts'

const REPETITIONS = 40
const WARM_UP = 10
/** What a controller is opened with again. */
const NETWORKS = 200
const SANDBOXES = 1000
const ENDPOINTS_EACH = 5
/** What is deleted and made again. */
const DELETED_NETWORKS = 10
const DELETED = 300

/** What keeping records costs an attach: without names and with them, and how often it waits for the disk. */
export async function measureDurableAttach({ withPeers }: { readonly withPeers: boolean }): Promise<Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'net-bench-durable-'))
  const store = await openLmdbStore({ path: join(folder, 'store') })
  const counted = countCommits(store)
  const durable = await openController({
    stores: { local: counted.store },
    runtimeDirectory: join(folder, 'a'),
    onClose: 'delete',
  })
  const memory = await openController({ runtimeDirectory: join(folder, 'b') })
  try {
    for (const controller of [durable, memory]) await controller.createNetwork({ name: 'bench', ipv6: true })
    const before = counted.commits()
    const took = await inTurn([
      ['attach-durable', durable, undefined],
      ['without names', durable, false],
      ['attach-dns', memory, undefined],
      ['attach-kernel', memory, false],
    ])
    const perAttach = (counted.commits() - before) / (2 * (WARM_UP + REPETITIONS))
    const { 'attach-durable': ours = Number.NaN, ...others } = took
    return [
      {
        name: 'attach-durable',
        unit: 'ms',
        ours,
        peers: { ...others, ...(withPeers ? await measurePeers(false) : {}) },
        note: `commits an attach and detach: ${perAttach.toFixed(1)}`,
      },
    ]
  } finally {
    await durable.close()
    await memory.close()
    await store.close()
    rmSync(folder, { recursive: true })
  }
}

async function inTurn(
  sorts: readonly (readonly [name: string, controller: Controller, dns: CreateSandboxRequest['dns']])[],
): Promise<Record<string, number>> {
  const took = new Map<string, number[]>(sorts.map(([name]) => [name, []]))
  collectGarbage()
  for (let at = 0; at < WARM_UP + REPETITIONS; at++) {
    for (const [name, controller, dns] of sorts) {
      let detach: (() => Promise<void>) | undefined
      const ms = await timed(async () => {
        const attachment = await controller.attach({
          ...{ network: 'bench', endpoint: { name: 'e' }, sandbox: { containerId: 'c', dns } },
        })
        detach = () => attachment.detach()
      })
      if (at >= WARM_UP) took.get(name)?.push(ms)
      await detach?.()
      // The kernel reaps what went, and would delay the next.
      await pause(60)
    }
  }
  return Object.fromEntries([...took].map(([name, all]) => [name, median(all)]))
}

function countCommits(store: Store): { readonly store: Store; readonly commits: () => number } {
  let commits = 0
  const counted: Store = Object.create(store, {
    transaction: {
      value: (...args: Parameters<Store['transaction']>) => {
        commits++
        return store.transaction(...args)
      },
    },
  }) as Store
  return { store: new Proxy(counted, { get: (target, name) => memberOf(store, target, name) }), commits: () => commits }
}

/** Members of classes with private parts have to be called on the object itself. */
function memberOf(store: Store, target: Store, name: string | symbol): unknown {
  if (Object.hasOwn(target, name)) return Reflect.get(target, name)
  const value: unknown = Reflect.get(store, name)
  return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(store) : value
}

/** How long it takes to open the records of many networks and containers, all of which are in order. */
export async function measureOpening(): Promise<Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'net-bench-open-'))
  const options = {
    ...{ stateDirectory: join(folder, 'state'), runtimeDirectory: join(folder, 'run') },
    pools: [{ base: '10.0.0.0/8', size: 24 }],
  }
  const first = await openController(options)
  for (let at = 0; at < NETWORKS; at++) await first.createNetwork({ name: `n${at}` })
  for (let at = 0; at < SANDBOXES; at++) {
    const sandbox = await first.createSandbox({ containerId: `c${at}` })
    for (let by = 0; by < ENDPOINTS_EACH; by++) {
      const network = first.getNetwork(`n${(at * ENDPOINTS_EACH + by) % NETWORKS}`)
      const endpoint = await network.createEndpoint({ name: `e${at}` })
      await endpoint.join(sandbox)
    }
  }
  await first.close()
  collectGarbage()
  let again: Controller | undefined
  let ms = Number.NaN
  const stall = await longestStall(async () => {
    ms = await timed(async () => {
      again = await openController({ ...options, onClose: 'delete' })
    })
  })
  const closing = await timed(() => again?.close())
  rmSync(folder, { recursive: true })
  const what = `${NETWORKS} networks, ${SANDBOXES * ENDPOINTS_EACH} endpoints in ${SANDBOXES} sandboxes with resolvers`
  return [
    { name: 'open-records', unit: 'ms', ours: ms, note: what },
    { name: 'open-stall', unit: 'ms', ours: stall },
    { name: 'open-delete-all', unit: 'ms', ours: closing },
  ]
}

/** What it takes to make everything again that somebody deleted while nobody was there, for each container. */
export async function measureRepair(): Promise<Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'net-bench-repair-'))
  const options = { stateDirectory: join(folder, 'state'), runtimeDirectory: join(folder, 'run') }
  const first = await openController(options)
  for (let at = 0; at < DELETED_NETWORKS; at++) await first.createNetwork({ name: `n${at}`, ipv6: true })
  const attaching = await timed(async () => {
    for (let at = 0; at < DELETED; at++) {
      const network = `n${at % DELETED_NETWORKS}`
      await first.attach({ network, endpoint: { name: `e${at}` }, sandbox: { containerId: `c${at}` } })
    }
  })
  await first.close()
  await deleteAllLinks()
  let again: Controller | undefined
  const repairing = await timed(async () => {
    again = await openController({ ...options, onClose: 'delete' })
  })
  await again?.close()
  rmSync(folder, { recursive: true })
  return [
    {
      ...{
        name: 'open-repair',
        unit: 'ms',
        ours: repairing / DELETED,
        peers: { 'attaching them': attaching / DELETED },
      },
      note: `for each of ${DELETED} containers on ${DELETED_NETWORKS} networks, opening included`,
    },
  ]
}

async function deleteAllLinks(): Promise<void> {
  using routes = RouteSocket.open()
  const links = routes.listLinks().filter(({ kind }) => kind === 'bridge' || kind === 'veth')
  await routes.deleteLinks(links.map(({ name }) => name))
}
