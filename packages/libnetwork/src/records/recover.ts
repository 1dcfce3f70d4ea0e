import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { NetworkPlan, NetworkRecord, PublishedPort } from '@net/driverapi'
import { isSandbox } from '@net/osl'
import type { PortLease } from '@net/portallocator'
import { removeLeftRules } from '@net/resolver'
import { isNetError } from '@net/types'
import type { Core } from '../core.ts'
import { heldAddresses } from '../endpoint-operations.ts'
import type { Happening } from '../events.ts'
import { settleGateway } from '../gateway-network.ts'
import { awaitedPlans, electGateways, endpointsOf, isAwaited, joinsOf } from '../gateways.ts'
import { adoptNaming, introduce } from '../names/naming-operations.ts'
import { publicationKey, type EndpointEntry, type SandboxEntry } from '../state.ts'
import { replayEndpoint, replayNetwork, replaySandbox } from './replay.ts'
import type { Recovery } from './recovery-events.ts'
import type { Survey } from './survey.ts'

/**
 * Goes on where an earlier process ended: what is to be is known again and put right where it is not as it is to be,
 * and what nobody wants goes. The packet rules are in place before. Traffic of containers that live is not touched.
 */
export async function recover(core: Core, found: Survey, tell: (event: Happening) => void): Promise<void> {
  if (found.isEmpty) {
    await core.loopback?.restore([])
    return
  }
  const refused = [...found.refused]
  const tried = async (key: string, work: () => Promise<unknown>): Promise<void> => {
    await core.turns.take()
    try {
      await work()
    } catch (error) {
      refused.push({ key, error: asError(error) })
    }
  }
  for (const stored of found.networks) await tried(`networks/${stored.record.id}`, () => replayNetwork(core, stored))
  for (const stored of found.sandboxes) {
    await tried(`sandboxes/${stored.record.id}`, () => {
      replaySandbox(core, stored)
      return Promise.resolve()
    })
  }
  for (const stored of found.endpoints) await tried(`endpoints/${stored.record.id}`, () => replayEndpoint(core, stored))
  joinAgain(core, found)
  for (const entry of core.state.endpoints.values()) await holdPorts(core, entry, tell)
  await removeGone(core, found)
  const joins = await joinsOf(core)
  await core.executor.restore({
    networks: Array.from(core.state.networks.values(), ({ record }) => planNetwork(core, record)),
    joins,
    // A namespace that was being brought, or left, when the process died: it goes on, with what was made in it.
    begun: await awaitedPlans(core),
    // Links of records that cannot be read look like nobody's.
    keepStrangers: refused.length > 0,
  })
  await core.loopback?.restore(joins.flatMap(({ plan }) => plan.firewall))
  if (refused.length === 0) await removeStrangers(core)
  await answerAgain(core, tell)
  for (const { key, error } of refused) tell({ kind: 'record-refused', key, error })
  const { networks, endpoints, sandboxes } = core.state
  const recovery: Recovery = {
    kind: 'recovered',
    ...{ networks: networks.size, endpoints: endpoints.size, sandboxes: sandboxes.size },
    gone: found.gone.sandboxes.map(({ record }) => record.containerId),
    refused: refused.map(({ key }) => key),
  }
  tell(recovery)
}

function planNetwork(core: Core, record: NetworkRecord): NetworkPlan {
  return core.drivers.get(record.driver).planNetwork(record)
}

/** Who is in which sandbox, in the order of joining. */
function joinAgain(core: Core, { sandboxes }: Survey): void {
  for (const stored of sandboxes) {
    const sandbox = core.state.sandboxes.get(stored.record.id)
    if (sandbox === undefined) continue
    for (const id of stored.endpoints) {
      if (core.state.endpoints.get(id)?.record.sandboxId === stored.record.id) sandbox.endpoints.add(id)
    }
  }
  for (const { record } of core.state.endpoints.values()) {
    if (record.sandboxId !== undefined) core.state.sandboxes.get(record.sandboxId)?.endpoints.add(record.id)
  }
}

async function holdPorts(core: Core, entry: EndpointEntry, tell: (event: Happening) => void): Promise<void> {
  for (const port of entry.record.ports) {
    entry.ports.set(publicationKey(port), { port, lease: await holdPort(core, entry, port, tell) })
  }
}

/** The rules of a port that another program took stay: who is connected goes on. */
async function holdPort(
  core: Core,
  { record }: EndpointEntry,
  port: PublishedPort,
  tell: (event: Happening) => void,
): Promise<PortLease> {
  const { protocol, hostAddress: address, hostPort, count } = port
  try {
    return await core.ports.take({ protocol, address, port: hostPort, count })
  } catch (error) {
    if (!isNetError(error, 'ERR_PORT_IN_USE')) throw error
    tell({ kind: 'port-lost', port, endpoint: record.name, error })
    const release = (): Promise<void> => Promise.resolve()
    return { protocol, address, port: hostPort, count: count ?? 1, release, [Symbol.asyncDispose]: release }
  }
}

/** Finishes what was being deleted, and undoes what did not come about. */
async function removeGone(core: Core, { gone }: Survey): Promise<void> {
  for (const { record } of gone.sandboxes) {
    await letGo(core, record.key)
    rmSync(`${record.key}.files`, { recursive: true, force: true })
  }
  for (const { record } of gone.endpoints) {
    const network = core.state.networks.get(record.networkId)
    if (network === undefined || network.ipam.capabilities.requiresRequestReplay) continue
    for (const { poolId, address } of heldAddresses(network.record, record)) {
      await network.ipam.releaseAddress(poolId, address)
    }
  }
  for (const { record, ipam: name } of gone.networks) {
    await core.executor.deleteNetwork(planNetwork(core, record))
    // A manager that is not there any more has nothing to be let go.
    const ipam = await core.ipam.get(name).catch(() => undefined)
    if (ipam === undefined || ipam.capabilities.requiresRequestReplay) continue
    for (const subnet of [record.ipv4, record.ipv6]) {
      if (subnet !== undefined) await ipam.releasePool(subnet.poolId)
    }
  }
  await core.records.forget(gone)
}

/** Namespaces and files of sandboxes that no record has. */
async function removeStrangers(core: Core): Promise<void> {
  const known = new Set(Array.from(core.state.sandboxes.values(), ({ record }) => record.key))
  for (const name of readdirSync(core.folder)) {
    const path = join(core.folder, name)
    if (known.has(path.replace(/\.files$/, ''))) continue
    if (/^[0-9a-f]{12}$/.test(name)) {
      core.logger.warn({ path }, 'namespace that no record wants is let go')
      await letGo(core, path)
    } else if (/^[0-9a-f]{12}\.files$/.test(name)) {
      rmSync(path, { recursive: true, force: true })
    }
  }
}

/** Names are known again, resolvers answer, and default routes are served by who is to serve them. */
async function answerAgain(core: Core, tell: (event: Happening) => void): Promise<void> {
  for (const sandbox of core.state.sandboxes.values()) {
    await core.turns.take()
    if (isAwaited(sandbox)) await awaitAgain(core, sandbox)
    else for (const entry of endpointsOf(core, sandbox)) introduce(core, entry, sandbox)
  }
  for (const sandbox of core.state.sandboxes.values()) {
    if (isAwaited(sandbox)) continue
    await core.turns.take()
    try {
      await electGateways(core, sandbox)
      await adoptNaming(core, sandbox)
      await settleGateway(core, sandbox)
    } catch (error) {
      // The others are not to suffer for it.
      tell({ kind: 'names-lost', containerId: sandbox.record.containerId, error: asError(error) })
    }
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
    core.logger.warn({ error, key }, 'rules of a resolver stay in a namespace that is let go')
  }
  await core.executor.deleteSandbox(key, [])
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
