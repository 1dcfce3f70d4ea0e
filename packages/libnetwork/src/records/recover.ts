import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { EndpointRecord, NetworkPlan, NetworkRecord, PublishedPort } from '@net/driverapi'
import { isSandbox } from '@net/osl'
import type { PortLease } from '@net/portallocator'
import { removeLeftRules } from '@net/resolver'
import { isNetError } from '@net/types'
import type { Core } from '../core.ts'
import { effectsOf, isAbsent, leaveAgain } from '../elsewhere.ts'
import { heldAddresses } from '../endpoint-operations.ts'
import { settleGateway } from '../gateway-network.ts'
import { awaitedPlans, electGateways, endpointsOf, isAwaited, joinsOf } from '../gateways.ts'
import { adoptNaming, introduce } from '../names/naming-operations.ts'
import { publicationKey, type EndpointEntry, type SandboxEntry } from '../state.ts'
import { subnetsOf } from '../subnets.ts'
import type { LostPorts } from './lost-ports.ts'
import { Managers } from './managers.ts'
import { replayEndpoint, replayNetwork, replaySandbox } from './replay.ts'
import type { Recovery, RecoveryEvent } from './recovery-events.ts'
import { isOfHost, reserveRefused } from './reserve.ts'
import type { StoredEndpoint, StoredNetwork, StoredSandbox } from './stored-forms.ts'
import type { Survey } from './survey.ts'

/** What is told, and who looks after what could not be put right. */
export interface RecoveryDeps {
  readonly tell: (event: RecoveryEvent) => void
  readonly lostPorts: LostPorts
}

/**
 * Goes on where an earlier process ended: what is to be is known again and put right where it is not as it is to be,
 * and what nobody wants goes. The packet rules are in place before. Traffic of containers that live is not touched.
 */
export async function recover(core: Core, found: Survey, { tell, lostPorts }: RecoveryDeps): Promise<void> {
  if (found.isEmpty) {
    await core.loopback?.restore([])
    return
  }
  const refused = [...found.refused]
  const managers = new Managers(core.ipam)
  const tried: Try = async (key, work) => {
    await core.turns.take()
    try {
      await work()
    } catch (error) {
      refused.push({ key, error: asError(error) })
    }
  }
  for (const stored of found.networks)
    await tried(`networks/${stored.record.id}`, () => replayNetwork(core, stored, managers))
  for (const stored of found.sandboxes) {
    await tried(`sandboxes/${stored.record.id}`, () => {
      replaySandbox(core, stored)
      return Promise.resolve()
    })
  }
  for (const stored of found.endpoints) await tried(`endpoints/${stored.record.id}`, () => replayEndpoint(core, stored))
  for (const { record } of found.endpoints.filter(isOnTheWay))
    await tried(`endpoints/${record.id}`, () => finishLeaving(core, record.id))
  joinAgain(core, found)
  for (const entry of core.state.endpoints.values()) {
    if (entry.record.ports.length > 0) await holdPorts(core, entry, { tell, lostPorts })
  }
  const undone = await removeGone(core, found, { tried, managers })
  await reserveRefused(core, refused, managers)
  for (const [key, facts] of found.refusedFacts) core.state.claims.addFacts(key, facts)
  // Links and namespaces of records that cannot be read look like nobody's.
  const keepStrangers = refused.some(isOfHost)
  const joins = await joinsOf(core)
  const links = await core.executor.restore({
    networks: Array.from(core.state.networks.values(), ({ record }) => planNetwork(core, record)),
    joins,
    // A namespace that was being brought, or left, when the process died: it goes on, with what was made in it.
    begun: await awaitedPlans(core),
    keepStrangers,
  })
  await core.loopback?.restore(joins.flatMap(({ plan }) => plan.firewall))
  const namespaces = keepStrangers ? [] : await removeStrangers(core)
  await answerAgain(core, tell)
  for (const { key, error } of refused) tell({ kind: 'record-refused', key, error })
  for (const name of undone.networks) tell({ kind: 'undone', what: 'network', name })
  for (const name of undone.endpoints) tell({ kind: 'undone', what: 'endpoint', name })
  for (const name of undone.sandboxes) tell({ kind: 'undone', what: 'sandbox', name })
  for (const subject of links) tell({ kind: 'removed', what: 'link', subject })
  for (const subject of namespaces) tell({ kind: 'removed', what: 'namespace', subject })
  const { networks, endpoints, sandboxes } = core.state
  const recovery: Recovery = {
    kind: 'recovered',
    ...{ networks: networks.size, endpoints: endpoints.size, sandboxes: sandboxes.size },
    gone: found.gone.sandboxes.map(({ record }) => record.containerId),
    undone,
    removed: { links, namespaces },
    refused: refused.map(({ key }) => key),
  }
  tell(recovery)
}

/** Does something about a record; that it could not be done hides no other. */
type Try = (key: string, work: () => Promise<unknown>) => Promise<void>

function planNetwork(core: Core, record: NetworkRecord): NetworkPlan {
  return core.drivers.get(record.driver).planNetwork(record)
}

/** Who is in which sandbox, in the order of joining. */
function joinAgain(core: Core, { sandboxes }: Survey): void {
  for (const stored of sandboxes) {
    const sandbox = core.state.sandboxes.get(stored.record.id)
    if (sandbox === undefined) continue
    for (const id of stored.endpoints) {
      const entry = core.state.endpoints.get(id)
      if (entry?.record.sandboxId === stored.record.id) sandbox.endpoints.add(entry)
    }
  }
  for (const entry of core.state.endpoints.values()) {
    const { sandboxId } = entry.record
    if (sandboxId !== undefined) core.state.sandboxes.get(sandboxId)?.endpoints.add(entry)
  }
}

async function holdPorts(core: Core, entry: EndpointEntry, deps: RecoveryDeps): Promise<void> {
  for (const port of entry.record.ports) {
    entry.ports.set(publicationKey(port), { port, lease: await holdPort(core, entry, port, deps) })
  }
}

/** The rules of a port that another program took stay: who is connected goes on. Nobody else is to get it from us. */
async function holdPort(
  core: Core,
  { record }: EndpointEntry,
  port: PublishedPort,
  { tell, lostPorts }: RecoveryDeps,
): Promise<PortLease> {
  const { protocol, hostAddress: address, hostPort, count } = port
  const request = { protocol, address, port: hostPort, count }
  try {
    return await core.ports.take(request)
  } catch (error) {
    // Taken, or of an address that the host does not have any more, or there is no room for another socket.
    tell({ kind: 'port-lost', port, endpoint: record.name, error: asError(error) })
    const lease = core.ports.book(request)
    lostPorts.add({ port, endpoint: record.name, lease })
    return lease
  }
}

/** Whether an endpoint may have been on its way into a sandbox, or out of it. */
function isOnTheWay({ record: { sandboxId, interfaceName } }: StoredEndpoint): boolean {
  return sandboxId !== undefined && interfaceName === undefined
}

/** An endpoint that a driver was joining or leaving is in no sandbox. */
async function finishLeaving(core: Core, id: string): Promise<void> {
  const entry = core.state.endpoints.get(id)
  const sandbox = core.state.sandboxes.get(entry?.record.sandboxId ?? '')
  if (entry === undefined || sandbox === undefined) return
  if (effectsOf(core, entry) !== undefined) await leaveAgain(core, entry, sandbox.record)
}

/**
 * Finishes what was being deleted, and undoes what did not come about, each as far as that goes: what cannot be let go
 * now keeps its record, and is tried again at the next opening.
 */
async function removeGone(
  core: Core,
  { gone, networks, refused }: Survey,
  { tried, managers }: { readonly tried: Try; readonly managers: Managers },
): Promise<Recovery['undone']> {
  const done = { networks: [] as StoredNetwork[], endpoints: [] as StoredEndpoint[], sandboxes: [] as StoredSandbox[] }
  for (const sandbox of gone.sandboxes) {
    await tried(`sandboxes/${sandbox.record.id}`, async () => {
      await letGo(core, sandbox.record.key)
      rmSync(`${sandbox.record.key}.files`, { recursive: true, force: true })
      done.sandboxes.push(sandbox)
    })
  }
  const networkOf = new Map([...networks, ...gone.networks].map((stored) => [stored.record.id, stored]))
  for (const endpoint of gone.endpoints) {
    const { id, networkId } = endpoint.record
    await tried(`endpoints/${id}`, async () => {
      const network = networkOf.get(networkId)
      if (refused.some(({ key }) => key === `networks/${networkId}`)) throw new Error('its network cannot be read')
      // Without a network there is nobody to let anything go.
      if (network !== undefined) {
        await undoEndpoint(core, network.record, endpoint.record)
        await releaseAddresses(managers, network, endpoint)
      }
      done.endpoints.push(endpoint)
    })
  }
  for (const network of gone.networks) {
    await tried(`networks/${network.record.id}`, async () => {
      const { record } = network
      await core.executor.deleteNetwork(planNetwork(core, record))
      await core.drivers.get(record.driver).effects?.deleteNetwork(record).catch(passOver(core))
      await releasePools(managers, network)
      done.networks.push(network)
    })
  }
  await core.records.forget(done)
  const isBegun = ({ record }: { readonly record: { readonly phase: string } }): boolean => record.phase !== 'ready'
  // Those that were in namespaces which are gone went with them.
  const lost = new Set(done.sandboxes.filter((one) => !isBegun(one)).map(({ record }) => record.id))
  return {
    networks: done.networks.map(({ record }) => record.name),
    endpoints: done.endpoints
      .filter(({ record }) => !lost.has(record.sandboxId ?? ''))
      .map(({ record }) => record.name),
    sandboxes: done.sandboxes.filter(isBegun).map(({ record }) => record.containerId),
  }
}

async function releaseAddresses(managers: Managers, network: StoredNetwork, { record }: StoredEndpoint): Promise<void> {
  const ipam = await managers.get(network.ipam)
  if (ipam.capabilities.requiresRequestReplay) return
  for (const { poolId, address } of heldAddresses(network.record, record)) {
    await unlessGone(ipam.releaseAddress(poolId, address))
  }
}

async function releasePools(managers: Managers, { record, ipam: name }: StoredNetwork): Promise<void> {
  const ipam = await managers.get(name)
  if (ipam.capabilities.requiresRequestReplay) return
  for (const { poolId } of subnetsOf(record)) await unlessGone(ipam.releasePool(poolId))
}

/** What was let go before the process died is gone. */
async function unlessGone(release: Promise<void>): Promise<void> {
  try {
    await release
  } catch (error) {
    if (!isNetError(error, 'ERR_NO_SUCH_POOL')) throw error
  }
}

/** Has a driver undo an endpoint, in its sandbox or not. Throws where it is not there to be asked. */
async function undoEndpoint(core: Core, network: NetworkRecord, record: EndpointRecord): Promise<void> {
  const { effects } = core.drivers.get(network.driver)
  if (record.sandboxId !== undefined) await effects?.leave(network, record).catch(passOver(core))
  await effects?.deleteEndpoint(network, record).catch(passOver(core))
}

/** That there is no such thing is what a driver says when it had not come so far. */
function passOver(core: Core): (error: unknown) => void {
  return (error) => {
    if (isAbsent(error)) throw error
    core.logger.warn({ err: error }, 'network driver did not take part in undoing')
  }
}

/** Removes namespaces and files of sandboxes that no record has. @returns the namespaces */
async function removeStrangers(core: Core): Promise<string[]> {
  const removed: string[] = []
  const known = new Set(Array.from(core.state.sandboxes.values(), ({ record }) => record.key))
  for (const name of readdirSync(core.folder)) {
    const path = join(core.folder, name)
    if (known.has(path.replace(/\.files$/, ''))) continue
    if (/^[0-9a-f]{12}$/.test(name)) {
      await letGo(core, path)
      removed.push(path)
    } else if (/^[0-9a-f]{12}\.files$/.test(name)) {
      rmSync(path, { recursive: true, force: true })
    }
  }
  return removed
}

/** Names are known again, resolvers answer, and default routes are served by who is to serve them. */
async function answerAgain(core: Core, tell: (event: RecoveryEvent) => void): Promise<void> {
  for (const sandbox of core.state.sandboxes.values()) {
    await core.turns.take()
    if (isAwaited(sandbox)) await namesTried(sandbox, tell, () => awaitAgain(core, sandbox))
    else for (const entry of endpointsOf(sandbox)) introduce(core, entry, sandbox)
  }
  for (const sandbox of core.state.sandboxes.values()) {
    if (isAwaited(sandbox)) continue
    await core.turns.take()
    await namesTried(sandbox, tell, async () => {
      await electGateways(core, sandbox)
      await adoptNaming(core, sandbox)
      await settleGateway(core, sandbox)
    })
  }
}

/** The others are not to suffer for one. */
async function namesTried(
  { record: { containerId } }: SandboxEntry,
  tell: (event: RecoveryEvent) => void,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    tell({ kind: 'names-lost', containerId, error: asError(error) })
  }
}

/** A namespace that was being brought when the process died is to be brought again. */
async function awaitAgain(core: Core, { record, naming }: SandboxEntry): Promise<void> {
  await letGo(core, record.key)
  await naming.adoptFiles()
}

/** Lets a namespace go, which may be another's and live on: our rules go before. Its links are deleted by their other ends. */
async function letGo(core: Core, key: string): Promise<void> {
  try {
    if (isSandbox(key)) await removeLeftRules(key)
  } catch (error) {
    core.logger.warn({ err: error, key }, 'rules of a resolver stay in a namespace that is let go')
  }
  await core.executor.deleteSandbox(key, [])
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
