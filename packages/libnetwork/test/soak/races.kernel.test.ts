import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { memoryStore, type Store } from '@net/datastore'
import { openLmdbStore } from '@net/datastore-lmdb'
import type { NetworkDriver } from '@net/driverapi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openController, type Controller, type ControllerDescription } from '../../src/index.ts'
import { readUnchecked } from '../../src/records/own-record.ts'
import { compareWithEmpty, compareWithHost, compareWithNothing, refuseNothing } from '../crash/host-check.ts'
import { ExternalNamespace } from '../external-namespace.ts'
import { plain, spoiledDriver, traces } from '../lab.ts'
import { RaceWorkload } from './race-workload.ts'

await enterFreshHost()

/** `NET_ROUNDS=1000 npx vitest run --project kernel packages/libnetwork/test/soak/races` is the long run. */
const ROUNDS = Number(process.env.NET_ROUNDS ?? 20)
const ROUNDS_PER_SEED = 10
const SEEDS = Math.ceil(ROUNDS / ROUNDS_PER_SEED)
const AT_ONCE = 14
/** Another run, other rounds. */
const FIRST_SEED = Number(process.env.NET_ROUNDS_SEED ?? 1)

/** Its networks lead nowhere: sandboxes get a place on the gateway network, and lose it. */
const inland: NetworkDriver = {
  ...spoiledDriver({ join: (plan) => ({ ...plan, sandbox: { ...plan.sandbox, gateways: {} } }) }),
  type: 'inland',
  needsGatewayNetwork: true,
}

interface Places {
  readonly stores: { readonly local: Store }
  readonly runtimeDirectory: string
  readonly drivers: readonly NetworkDriver[]
}

let others: readonly ExternalNamespace[]

beforeAll(async () => {
  others = await Promise.all([ExternalNamespace.open(), ExternalNamespace.open()])
})
afterAll(async () => {
  for (const other of others) await other.close()
})

describeKernel('a controller of which many want much of few things at once', () => {
  it.each(Array.from({ length: SEEDS }, (_, at) => FIRST_SEED + at))(
    `is as it says after each of ${ROUNDS_PER_SEED} rounds, seed %i`,
    { timeout: 600_000 },
    async (seed) => {
      const before = traces()
      const folder = mkdtempSync(join(tmpdir(), 'races-'))
      // The one is there at once, the other takes its time.
      const local = seed % 2 === 0 ? memoryStore() : await openLmdbStore({ path: join(folder, 'store') })
      const places = { stores: { local }, runtimeDirectory: join(folder, 'run'), drivers: [inland] }
      try {
        await race(places, seed)
      } finally {
        const last = await openController({ ...places, onClose: 'delete' })
        await last.close()
        compareWithEmpty(places.runtimeDirectory)
        await compareWithNothing(others)
        await expect.poll(traces).toEqual(before)
        await local.close()
        rmSync(folder, { recursive: true })
      }
    },
  )
})

/** Does some rounds, and looks at everything after each, and again when another controller has read the records. */
async function race(places: Places, seed: number): Promise<void> {
  const controller = await openController(places)
  const workload = new RaceWorkload(controller, others, seed)
  try {
    for (let round = 0; round < ROUNDS_PER_SEED; round++) {
      await workload.round(AT_ONCE)
      await compareAll(controller, places)
    }
    tell(seed, workload)
  } catch (error) {
    process.stdout.write(`seed ${seed}:\n  ${workload.told.join('\n  ')}\n`)
    throw error
  } finally {
    await controller.close()
  }
  await using next = await openController(places)
  await compareAll(next, places)
  await refuseNothing(next)
}

async function compareAll(controller: Controller, { stores: { local }, runtimeDirectory }: Places): Promise<void> {
  const described = await controller.describe()
  expect(phasesOf(described)).toEqual([])
  expect(await recorded(local)).toEqual(toRecord(described))
  expect(countedOf(described)).toEqual([])
  await compareNames(controller, described)
  await compareWithHost(controller, dirname(runtimeDirectory), { others })
}

/** What is neither made nor gone though nobody is about to. */
function phasesOf({ networks, endpoints, sandboxes }: ControllerDescription): string[] {
  return [...networks, ...endpoints, ...sandboxes].flatMap(({ id, phase }) =>
    phase === 'ready' ? [] : `${id} ${phase}`,
  )
}

/** All records of a store, by their keys. */
async function recorded(local: Store): Promise<Record<string, unknown>> {
  const { entries } = await local.list('')
  const own = entries.filter(({ key }) => /^(networks|endpoints|sandboxes)\//.test(key))
  return Object.fromEntries(
    own.map(({ key, value }) => {
      const { record, endpoints } = readUnchecked(value) as Readonly<Record<string, object>>
      return [key, endpoints === undefined ? record : { ...record, endpoints }]
    }),
  )
}

/** What is described that is no record's. Who serves default routes goes by rules, whatever is recorded of it. */
const UNRECORDED = ['ipam', 'leases', 'gatewayFor', 'dns']

/** What a store is to have of what a controller says. */
function toRecord({ networks, endpoints, sandboxes }: ControllerDescription): unknown {
  const records = Object.entries({ networks, endpoints, sandboxes }).flatMap(([kind, all]) =>
    all.map((one) => [`${kind}/${one.id}`, one] as const),
  )
  const text = JSON.stringify(Object.fromEntries(records), (name, value: unknown) =>
    UNRECORDED.includes(name) ? undefined : value,
  )
  return JSON.parse(text)
}

/** Pools of which other addresses are taken than those of endpoints and the gateway's. */
function countedOf({ networks }: ControllerDescription): string[] {
  const leases = networks.flatMap(({ leases }) => leases)
  return leases.flatMap(({ pool, taken, addresses }) =>
    Number(taken) === addresses.length + reservedIn(pool) ? [] : `${pool}: ${taken} for ${addresses.length} endpoints`,
  )
}

/** Its gateway, and the addresses that nobody can have. */
function reservedIn(pool: string): number {
  return pool.includes(':') ? 2 : 3
}

/** Sandboxes find those by name that are on their networks, and nobody else. */
async function compareNames(controller: Controller, described: ControllerDescription): Promise<void> {
  const awaited = described.sandboxes.filter(({ namespace }) => namespace === 'awaited').map(({ id }) => id)
  const inPlace = controller.sandboxes().filter(({ id }) => !awaited.includes(id))
  // Who meets on the gateway network is a stranger.
  const known = inPlace
    .flatMap((sandbox) => sandbox.endpoints().map((endpoint) => ({ sandbox, endpoint })))
    .filter(({ endpoint }) => !endpoint.name.startsWith('gateway_'))
  const names = ['one', 'two', 'three', 'four', 'renamed', 'alias', 'web', 'db', 'cache', 'host1', 'host2']
  for (const sandbox of inPlace) {
    const own = known.filter((one) => one.sandbox.id === sandbox.id)
    const networks = own.map(({ endpoint }) => endpoint.networkId)
    for (const name of names) {
      const bearers = known.filter(
        ({ sandbox: { containerId, hostname }, endpoint }) =>
          networks.includes(endpoint.networkId) &&
          [endpoint.name, ...endpoint.aliases, containerId, hostname].includes(name),
      )
      const addresses = bearers.flatMap(({ endpoint }) => [plain(endpoint.address), plain(endpoint.address6)])
      const found = await sandbox.resolveName(name)
      expect([name, found.filter((address) => !addresses.includes(address))]).toEqual([name, []])
      expect([name, found.length > 0]).toEqual([name, bearers.length > 0])
    }
  }
}

function tell(seed: number, { done }: RaceWorkload): void {
  if (process.env.NET_ROUNDS === undefined) return
  const kinds = [...done].sort().map(([kind, count]) => `${count} ${kind}`)
  process.stdout.write(`seed ${seed}: ${kinds.join(', ')}\n`)
}
