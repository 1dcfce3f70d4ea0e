import { join as joinPath } from 'node:path'
import type { JoinPlan } from '@net/driverapi'
import { randomId, Rollback, shortId, type AddressFamily, type CallOptions } from '@net/types'
import type { Core } from './core.ts'
import { createEndpoint, deleteEndpoint, forgetEndpoint } from './endpoint-operations.ts'
import { BusyError, EndpointJoinedError, EndpointNotJoinedError } from './errors.ts'
import { idOf, type AttachRequest, type CreateSandboxRequest } from './requests.ts'
import { recordOf, type EndpointEntry, type SandboxEntry } from './state.ts'

/** Makes a sandbox: a network namespace with its loopback interface up. */
export async function createSandbox(
  core: Core,
  request: CreateSandboxRequest,
  call?: CallOptions,
): Promise<SandboxEntry> {
  call?.signal?.throwIfAborted()
  const { containerId, hostname, domainname } = request
  const id = randomId()
  using _lock = await core.locks.lock(id, call)
  await using rollback = new Rollback()
  const entry: SandboxEntry = {
    record: { id, containerId, hostname, domainname, phase: 'creating', key: joinPath(core.folder, shortId(id)) },
    endpoints: new Set(),
  }
  core.state.addSandbox(entry)
  rollback.defer('record sandbox', () => {
    core.state.removeSandbox(entry)
  })
  await core.executor.createSandbox(entry.record.key, call)

  entry.record = { ...entry.record, phase: 'ready' }
  rollback.commit()
  core.logger.debug({ sandboxId: id, containerId }, 'sandbox created')
  return entry
}

/** Unmakes a sandbox with the endpoints joined to it. One that is gone already is no error. */
export async function deleteSandbox(core: Core, sandbox: SandboxEntry): Promise<void> {
  using _lock = await core.locks.lock(sandbox.record.id)
  if (!core.state.sandboxes.has(sandbox.record.id)) return
  sandbox.record = { ...sandbox.record, phase: 'deleting' }
  await using held = new Rollback()
  const endpoints = endpointsOf(core, sandbox)
  for (const { record } of endpoints) {
    const lock = await core.locks.lock(record.id)
    held.defer(`hold endpoint ${record.name}`, () => {
      lock[Symbol.dispose]()
    })
  }
  await core.executor.deleteSandbox(
    sandbox.record.key,
    endpoints.map((endpoint) => planOf(core, endpoint, sandbox)),
  )
  for (const endpoint of endpoints) {
    sandbox.endpoints.delete(endpoint.record.id)
    endpoint.record = { ...endpoint.record, sandboxId: undefined }
    await forgetEndpoint(core, endpoint)
  }
  core.state.removeSandbox(sandbox)
  core.logger.debug({ sandboxId: sandbox.record.id, containerId: sandbox.record.containerId }, 'sandbox deleted')
}

/** Gives a sandbox the interface of an endpoint, with its addresses, routes and published ports. */
export async function join(
  core: Core,
  entry: EndpointEntry,
  sandbox: SandboxEntry,
  { priority }: { readonly priority: number },
  call?: CallOptions,
): Promise<void> {
  using _sandboxLock = await core.locks.lock(sandbox.record.id, call)
  using _endpointLock = await core.locks.lock(entry.record.id, call)
  core.state.getEndpoint(entry.record.id)
  core.state.getSandbox(sandbox.record.id)
  if (sandbox.record.phase !== 'ready') throw new BusyError(`sandbox ${sandbox.record.containerId}`, 'being deleted')
  if (entry.record.sandboxId !== undefined) {
    throw new EndpointJoinedError(entry.record.name, core.state.getSandbox(entry.record.sandboxId).record.containerId)
  }
  const before = entry.record
  await using rollback = new Rollback()
  rollback.defer('pass default routes on', () => electGateways(core, sandbox))
  rollback.defer('record join', () => {
    entry.record = before
    entry.gatewayFor = []
    sandbox.endpoints.delete(before.id)
  })
  const network = core.state.getNetwork(before.networkId)
  const interfaceName = core.drivers.get(network.record.driver).nameInterface(
    network.record,
    before,
    endpointsOf(core, sandbox).flatMap(({ record }) => record.interfaceName ?? []),
  )
  entry.record = { ...before, sandboxId: sandbox.record.id, interfaceName, priority }
  takeGateways(core, entry, sandbox)
  sandbox.endpoints.add(before.id)
  await core.executor.join(sandbox.record.key, planOf(core, entry, sandbox), call)
  rollback.commit()
  core.logger.debug({ endpointId: before.id, sandboxId: sandbox.record.id, interfaceName }, 'endpoint joined')
}

/** Takes the interface of an endpoint out of its sandbox. */
export async function leave(core: Core, entry: EndpointEntry, sandbox: SandboxEntry): Promise<void> {
  using _sandboxLock = await core.locks.lock(sandbox.record.id)
  using _endpointLock = await core.locks.lock(entry.record.id)
  if (entry.record.sandboxId !== sandbox.record.id) {
    throw new EndpointNotJoinedError(entry.record.name, sandbox.record.containerId)
  }
  await leaveLocked(core, entry)
}

/** As {@link leave}, for whoever holds the endpoint's lock. */
export async function leaveLocked(core: Core, entry: EndpointEntry): Promise<void> {
  const sandbox = core.state.getSandbox(entry.record.sandboxId ?? '')
  await core.executor.leave(planOf(core, entry, sandbox))
  entry.record = { ...entry.record, sandboxId: undefined, interfaceName: undefined, priority: undefined }
  entry.gatewayFor = []
  sandbox.endpoints.delete(entry.record.id)
  try {
    await electGateways(core, sandbox)
  } catch (error) {
    // The endpoint has left, whatever becomes of the others' routes.
    core.logger.error({ error, sandboxId: sandbox.record.id }, 'default route could not be passed on')
  }
  core.logger.debug({ endpointId: entry.record.id, sandboxId: sandbox.record.id }, 'endpoint left')
}

/** Endpoint, sandbox and join as one: all three, or nothing is left. */
export async function attach(
  core: Core,
  request: AttachRequest,
  call?: CallOptions,
): Promise<{ endpoint: EndpointEntry; sandbox: SandboxEntry }> {
  const network = core.state.getNetwork(idOf('network', request.network))
  await using rollback = new Rollback()
  const endpoint = await createEndpoint(core, network, request.endpoint, call)
  rollback.defer('create endpoint', () => deleteEndpoint(core, endpoint, { force: true }))
  const sandbox = await createSandbox(core, request.sandbox, call)
  rollback.defer('create sandbox', () => deleteSandbox(core, sandbox))
  await join(core, endpoint, sandbox, { priority: 0 }, call)
  rollback.commit()
  return { endpoint, sandbox }
}

/** The plan of an endpoint in a sandbox, with the default routes it has been elected for. */
function planOf(core: Core, entry: EndpointEntry, sandbox: SandboxEntry): JoinPlan {
  const network = core.state.getNetwork(entry.record.networkId)
  const plan = core.drivers.get(network.record.driver).planEndpoint(network.record, recordOf(entry), sandbox.record)
  const { ipv4, ipv6 } = plan.sandbox.gateways
  const gateways = {
    ipv4: entry.gatewayFor.includes(4) ? ipv4 : undefined,
    ipv6: entry.gatewayFor.includes(6) ? ipv6 : undefined,
  }
  return { ...plan, sandbox: { ...plan.sandbox, gateways } }
}

/** Next hops of the default routes of every family that an endpoint offers. Its ports, which may be many, do not matter. */
function gatewaysOf(core: Core, { record }: EndpointEntry, sandbox: SandboxEntry): JoinPlan['sandbox']['gateways'] {
  const network = core.state.getNetwork(record.networkId)
  const silent = { ...record, ports: [] }
  return core.drivers.get(network.record.driver).planEndpoint(network.record, silent, sandbox.record).sandbox.gateways
}

/** The families that `entry` offers a default route for and that no endpoint of its priority or a higher one serves. */
function electable(core: Core, entry: EndpointEntry, sandbox: SandboxEntry): AddressFamily[] {
  const { ipv4, ipv6 } = gatewaysOf(core, entry, sandbox)
  const served = endpointsOf(core, sandbox)
    .filter((other) => priorityOf(other) >= priorityOf(entry))
    .flatMap(({ gatewayFor }) => gatewayFor)
  const offered: AddressFamily[] = [
    ...(ipv4 === undefined ? [] : ([4] as const)),
    ...(ipv6 === undefined ? [] : ([6] as const)),
  ]
  return offered.filter((family) => !served.includes(family))
}

/** Takes the default routes over that `entry` is to serve, and says which families these are of. */
function takeGateways(core: Core, entry: EndpointEntry, sandbox: SandboxEntry): AddressFamily[] {
  const families = electable(core, entry, sandbox)
  if (families.length === 0) return families
  for (const other of endpointsOf(core, sandbox)) {
    other.gatewayFor = other.gatewayFor.filter((family) => !families.includes(family))
  }
  entry.gatewayFor = [...entry.gatewayFor, ...families]
  return families
}

function priorityOf({ record }: EndpointEntry): number {
  return record.priority ?? 0
}

/**
 * After the endpoint that served them left: the default routes pass to those of the highest priority, and of these to
 * those that joined first.
 */
async function electGateways(core: Core, sandbox: SandboxEntry): Promise<void> {
  // The sort is stable: those of one priority stay in the order of joining.
  const candidates = endpointsOf(core, sandbox).sort((one, other) => priorityOf(other) - priorityOf(one))
  for (const entry of candidates) {
    const families = electable(core, entry, sandbox)
    if (families.length === 0) continue
    const { ipv4, ipv6 } = gatewaysOf(core, entry, sandbox)
    await core.executor.addGateways(sandbox.record.key, {
      ipv4: families.includes(4) ? ipv4 : undefined,
      ipv6: families.includes(6) ? ipv6 : undefined,
    })
    takeGateways(core, entry, sandbox)
  }
}

function endpointsOf(core: Core, sandbox: SandboxEntry): EndpointEntry[] {
  return Array.from(sandbox.endpoints, (id) => core.state.getEndpoint(id))
}
