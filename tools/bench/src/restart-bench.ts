import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RouteSocket } from '@net/netlink-ffi'
import { openController, type Controller } from '@net/libnetwork'
import { collectGarbage, longestStall, timed, type Measurement } from './measure.ts'

/** What a controller is opened with again. */
const NETWORKS = 200
const SANDBOXES = 1000
const ENDPOINTS_EACH = 5
/** What is deleted and made again. */
const DELETED_NETWORKS = 10
const DELETED = 300

/** How long it takes to open the records of many networks and containers, all of which are in order. */
export async function measureOpening(): Promise<Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'net-bench-open-'))
  // In memory, as /run is.
  const runtimeDirectory = mkdtempSync('/dev/shm/net-bench-open-')
  const options = {
    ...{ stateDirectory: join(folder, 'state'), runtimeDirectory },
    pools: [{ base: '10.0.0.0/8', size: 24 }],
  }
  const first = await openController(options)
  for (let at = 0; at < NETWORKS; at++) await first.createNetwork({ name: `n${at}` })
  // Files of a sandbox are made when somebody asks for them, as every runtime does.
  const hosts: string[] = []
  for (let at = 0; at < SANDBOXES; at++) {
    const sandbox = await first.createSandbox({ containerId: `c${at}` })
    hosts.push(sandbox.files.hosts)
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
  for (const path of [folder, runtimeDirectory]) rmSync(path, { recursive: true })
  const what = `${NETWORKS} networks, ${SANDBOXES * ENDPOINTS_EACH} endpoints in ${hosts.length} sandboxes with resolvers and files`
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
