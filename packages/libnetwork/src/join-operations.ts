import { join as joinPath } from 'node:path'
import type { DriverEffects, JoinPlan, SandboxRecord } from '@net/driverapi'
import { randomId, Rollback, shortId, type CallOptions } from '@net/types'
import type { Core } from './core.ts'
import { ceaseGateway, effectsOf, joinElsewhere, keepLeaving, leaveElsewhere, NOT_JOINED } from './elsewhere.ts'
import {
  discardEndpoint,
  forgetEndpoint,
  isHeldByRecord,
  letEndpointGo,
  prepareEndpoint,
} from './endpoint-operations.ts'
import { EndpointJoinedError, EndpointNotJoinedError, InvalidRequestError } from './errors.ts'
import { holdEndpoints } from './endpoint-locks.ts'
import {
  findGatewayEndpoint,
  isGatewayEndpoint,
  loseGateway,
  settleGateway,
  settleGatewayAfter,
} from './gateway-network.ts'
import { electGateways, endpointsOf, isAwaited, planOf, takeGateways } from './gateways.ts'
import { putInPlace } from './in-place.ts'
import { awaitKeys } from './keys/set-key.ts'
import { appear, introduce, updateNaming, vanish } from './names/naming-operations.ts'
import { namingWishesOf } from './names/naming-request.ts'
import { SandboxNaming, type NamingWishes } from './names/sandbox-naming.ts'
import type { Entries } from './records/records.ts'
import {
  idOf,
  type AttachRequest,
  type CreateSandboxRequest,
  type JoinOptions,
  type RefreshRequest,
} from './requests.ts'
import type { EndpointEntry, SandboxEntry } from './state.ts'
import { checkEndpoint, checkSandbox } from './usable.ts'

/** Makes a sandbox: a network namespace with its loopback interface up, and a resolver in it. */
export async function createSandbox(
  core: Core,
  request: CreateSandboxRequest,
  call?: CallOptions,
): Promise<SandboxEntry> {
  const id = randomId()
  using _lock = await core.locks.lock(id, call)
  return await prepareSandbox(core, { ...request, id }, call)
}

/**
 * As {@link createSandbox}, for whoever holds the lock of its id. One that an endpoint is `attached` to right after is
 * recorded with it, to be undone should that not come about.
 */
async function prepareSandbox(
  core: Core,
  { id, ...request }: CreateSandboxRequest & { readonly id: string },
  call?: CallOptions & { readonly attached?: EndpointEntry },
): Promise<SandboxEntry> {
  const { containerId, domainname, labels } = request
  const wishes = namingWishesOf(request, id)
  await using rollback = new Rollback()
  const key = joinPath(core.folder, shortId(id))
  const namespace =
    request.key === undefined ? {} : ({ namespace: request.key === false ? 'awaited' : 'given' } as const)
  const entry: SandboxEntry = {
    record: {
      ...{ id, containerId, hostname: wishes.hostname, domainname, labels, phase: 'creating', key },
      ...namespace,
    },
    naming: new SandboxNaming({ key, folder: `${key}.files` }, wishes, core.naming),
    endpoints: new Set(),
  }
  core.state.addSandbox(entry)
  rollback.defer('record sandbox', () => {
    core.state.removeSandbox(entry)
  })
  rollback.defer('keep sandbox', () => core.records.discard({ sandboxes: [entry] }))
  if (call?.attached === undefined) await core.records.keep({ sandboxes: [entry] }, call)
  else await core.records.keep({ sandboxes: [entry], endpoints: [call.attached] }, { ...call, phase: 'creating' })
  if (request.key === false) await awaitKeys(core)
  else await openNamespace(core, entry, { from: request.key, rollback }, call)

  entry.record = { ...entry.record, phase: 'ready' }
  rollback.commit()
  core.logger.debug({ sandboxId: id, containerId }, 'sandbox created')
  return entry
}

/** Makes the namespace of a sandbox, or takes the one that a runtime made, and begins to answer names in it. */
async function openNamespace(
  core: Core,
  { record: { key }, naming }: SandboxEntry,
  { from, rollback }: { readonly from: string | undefined; readonly rollback: Rollback },
  call?: CallOptions,
): Promise<void> {
  if (from === undefined) await core.executor.createSandbox(key, call)
  else await core.executor.adoptSandbox(from, key, call)
  rollback.defer('create namespace', () => core.executor.deleteSandbox(key, []))
  await core.turns.take(call)
  rollback.defer('answer names', () => naming.close())
  await naming.open()
}

/** Unmakes a sandbox with the endpoints joined to it. One that is gone already is no error. */
export async function deleteSandbox(core: Core, sandbox: SandboxEntry, call?: CallOptions): Promise<void> {
  using _lock = await core.locks.lock(sandbox.record.id, call)
  if (!core.state.sandboxes.has(sandbox.record.id)) return
  const { phase } = sandbox.record
  sandbox.record = { ...sandbox.record, phase: 'deleting' }
  const endpoints = endpointsOf(sandbox)
  await using _held = await holdEndpoints(core, endpoints)
  // What is recorded by nobody is removed when the store is opened next, should this not come to its end.
  try {
    const ours = endpoints.filter((endpoint) => isHeldByRecord(core, endpoint))
    const others = endpoints.filter((endpoint) => !isHeldByRecord(core, endpoint))
    if (others.length > 0) await core.records.keep({ endpoints: others }, { phase: 'deleting' })
    await core.records.forget({ endpoints: ours, sandboxes: [sandbox] })
  } catch (error) {
    // Of one that is half deleted already, nothing comes back.
    sandbox.record = { ...sandbox.record, phase }
    throw error
  }
  for (const endpoint of endpoints) vanish(core, endpoint)
  if (isOthers(sandbox)) await sandbox.naming.release()
  await sandbox.naming.close()
  // Those that are half deleted, by a try before this one, have left already.
  const joined = endpoints.filter(({ record }) => record.phase !== 'deleting')
  const planFor = new Map(joined.map((endpoint) => [endpoint, planOf(core, endpoint, sandbox)]))
  const plans = [...planFor.values()]
  if (isOthers(sandbox)) for (const plan of plans) await core.executor.leave(sandbox.record.key, plan)
  await core.executor.deleteSandbox(sandbox.record.key, isOthers(sandbox) ? [] : plans)
  await core.loopback?.remove(plans.flatMap(({ firewall }) => firewall))
  for (const endpoint of endpoints) {
    const effects = effectsOf(core, endpoint)
    if (effects !== undefined) await leaveWithSandbox(core, endpoint, { effects, plan: planFor.get(endpoint) })
    // As long as it is not let go, deleting the sandbox again is to find it.
    await letEndpointGo(core, endpoint)
    endpoint.record = { ...endpoint.record, sandboxId: undefined }
  }
  core.state.removeSandbox(sandbox)
  core.logger.debug({ sandboxId: sandbox.record.id, containerId: sandbox.record.containerId }, 'sandbox deleted')
}

/** Tells a driver that its endpoint left, since there is no sandbox any more. */
async function leaveWithSandbox(
  core: Core,
  entry: EndpointEntry,
  { effects, plan }: { readonly effects: DriverEffects; readonly plan: JoinPlan | undefined },
): Promise<void> {
  if (entry.isGatewayElsewhere === true) await ceaseGateway(core, entry, effects)
  if (plan !== undefined) await leaveElsewhere(core, entry.record, plan)
}

/** Whether the namespace of a sandbox goes on without us: what is ours in it is to be gone before it is let go. */
function isOthers({ record }: SandboxEntry): boolean {
  return record.namespace === 'given'
}

/** Gives the endpoints of a sandbox another name. */
export async function renameSandbox(core: Core, sandbox: SandboxEntry, name: string): Promise<void> {
  using _lock = await core.locks.lock(sandbox.record.id)
  checkSandbox(core, sandbox)
  const endpoints = endpointsOf(sandbox).filter((entry) => !isGatewayEndpoint(entry, sandbox))
  const renaming = core.state.renameEndpoints(endpoints, name)
  try {
    await core.records.keep({ endpoints })
  } catch (error) {
    renaming.undo()
    throw error
  }
  renaming.commit()
  // Of one that waits for its namespace nobody knows names yet.
  if (isAwaited(sandbox)) return
  for (const endpoint of endpoints) await appear(core, endpoint, sandbox)
}

/** Gives a sandbox other names, hosts and resolver. Its interfaces, and the connections over them, stay as they are. */
export async function refreshSandbox(core: Core, sandbox: SandboxEntry, request: RefreshRequest): Promise<void> {
  using _lock = await core.locks.lock(sandbox.record.id)
  checkSandbox(core, sandbox)
  const { record: before } = sandbox
  const { wishes: had } = sandbox.naming
  const wishes = namingWishesOf({ ...request, containerId: before.containerId }, before.id)
  await using rollback = new Rollback()
  rollback.defer('refresh', async () => {
    await becomeNamed(core, sandbox, { record: before, wishes: had })
    await core.records.keep({ sandboxes: [sandbox] })
    await sandbox.naming.recorded()
  })
  const record = { ...before, hostname: wishes.hostname, domainname: wishes.domainname }
  await becomeNamed(core, sandbox, { record, wishes })
  await core.records.keep({ sandboxes: [sandbox] })
  rollback.commit()
  await sandbox.naming.recorded()
}

async function becomeNamed(
  core: Core,
  sandbox: SandboxEntry,
  { record, wishes }: { readonly record: SandboxRecord; readonly wishes: NamingWishes },
): Promise<void> {
  sandbox.record = record
  await sandbox.naming.refresh(wishes, { isThere: !isAwaited(sandbox) })
  if (isAwaited(sandbox)) return
  for (const endpoint of endpointsOf(sandbox)) introduce(core, endpoint, sandbox)
  await updateNaming(core, sandbox)
}

/** Gives a sandbox the interface of an endpoint, with its addresses, routes and published ports. */
export async function join(
  core: Core,
  entry: EndpointEntry,
  sandbox: SandboxEntry,
  options: JoinOptions,
  call?: CallOptions,
): Promise<void> {
  using _sandboxLock = await core.locks.lock(sandbox.record.id, call)
  using _endpointLock = await core.locks.lock(entry.record.id, call)
  await joinAndSettle(core, entry, sandbox, options, call)
}

/** As {@link join}, for whoever holds the locks of both. */
async function joinAndSettle(
  core: Core,
  entry: EndpointEntry,
  sandbox: SandboxEntry,
  options: JoinOptions,
  call?: CallOptions,
): Promise<void> {
  await using rollback = new Rollback()
  await joinLocked(core, entry, sandbox, options, call)
  rollback.defer('gateway', () => settleGateway(core, sandbox))
  rollback.defer('join', () => discardJoin(core, entry, sandbox))
  await settleGateway(core, sandbox, call)
  rollback.commit()
}

/** As {@link joinAndSettle}, wherever the sandbox reaches the outside then. */
export async function joinLocked(
  core: Core,
  entry: EndpointEntry,
  sandbox: SandboxEntry,
  { priority = 0, aliases }: JoinOptions,
  call?: CallOptions,
): Promise<void> {
  checkEndpoint(core, entry)
  checkSandbox(core, sandbox)
  if (entry.record.sandboxId !== undefined) {
    throw new EndpointJoinedError(entry.record.name, core.state.getSandbox(entry.record.sandboxId).record.containerId)
  }
  const before = entry.record
  await using rollback = new Rollback()
  rollback.defer('keep what was', () => core.records.keep(recordsOf(sandbox, entry)))
  rollback.defer('pass default routes on', async () => {
    await electGateways(core, sandbox)
    await updateNaming(core, sandbox)
  })
  rollback.defer('record join', () => {
    entry.record = before
    entry.gatewayFor = []
    sandbox.endpoints.delete(entry)
  })
  const network = core.state.getNetwork(before.networkId)
  const driver = core.drivers.get(network.record.driver)
  const { effects } = driver
  if (effects !== undefined) {
    await joinElsewhere(core, entry, { network: network.record, driver, effects, sandbox, rollback }, call)
  }
  const interfaceName = driver.nameInterface(
    network.record,
    entry.record,
    endpointsOf(sandbox).flatMap(({ record }) => record.interfaceName ?? []),
  )
  entry.record = { ...entry.record, sandboxId: sandbox.record.id, interfaceName, priority, sandboxAliases: aliases }
  takeGateways(core, entry, sandbox)
  sandbox.endpoints.add(entry)
  await core.records.keep(recordsOf(sandbox, entry), call)
  if (!isAwaited(sandbox)) {
    await putInPlace(core, sandbox.record.key, planOf(core, entry, sandbox), { rollback, call })
    rollback.defer('make names known', () => {
      vanish(core, entry)
    })
    await appear(core, entry, sandbox)
  }
  rollback.commit()
  core.logger.debug({ endpointId: before.id, sandboxId: sandbox.record.id, interfaceName }, 'endpoint joined')
}

/** All whose records change when an endpoint joins a sandbox or leaves it: default routes pass between them. */
function recordsOf(sandbox: SandboxEntry, entry: EndpointEntry): Entries {
  return { sandboxes: [sandbox], endpoints: [...new Set(sandbox.endpoints).add(entry)] }
}

/** Takes the interface of an endpoint out of its sandbox. */
export async function leave(
  core: Core,
  entry: EndpointEntry,
  sandbox: SandboxEntry,
  call?: CallOptions,
): Promise<void> {
  using _sandboxLock = await core.locks.lock(sandbox.record.id, call)
  using _endpointLock = await core.locks.lock(entry.record.id, call)
  if (entry.record.sandboxId !== sandbox.record.id) {
    throw new EndpointNotJoinedError(entry.record.name, sandbox.record.containerId)
  }
  checkEndpoint(core, entry)
  // There for nothing else, it would be in the way of another that the sandbox needs.
  const forGood = isGatewayEndpoint(entry, sandbox)
  await leaveLocked(core, entry, { forGood })
  if (forGood) await forgetEndpoint(core, entry)
  await settleGatewayAfter(core, sandbox)
}

/**
 * As {@link leave}, for whoever holds the endpoint's lock. One that leaves for good is being deleted from then on: should
 * the process die before it is gone, it goes when the controller is opened.
 */
export async function leaveLocked(
  core: Core,
  entry: EndpointEntry,
  { forGood }: { readonly forGood: boolean },
): Promise<void> {
  const sandbox = core.state.getSandbox(entry.record.sandboxId ?? '')
  const before = { record: entry.record, gatewayFor: entry.gatewayFor, endpoints: endpointsOf(sandbox) }
  const plan = planOf(core, entry, sandbox)
  const effects = effectsOf(core, entry)
  if (effects !== undefined) await keepLeaving(core, entry)
  vanish(core, entry)
  entry.record = { ...entry.record, ...NOT_JOINED, ...(forGood ? { phase: 'deleting' } : {}) }
  entry.gatewayFor = []
  sandbox.endpoints.delete(entry)
  await using rollback = new Rollback()
  rollback.defer('leave', async () => {
    entry.record = before.record
    entry.gatewayFor = before.gatewayFor
    sandbox.endpoints.clear()
    for (const other of before.endpoints) sandbox.endpoints.add(other)
    await appear(core, entry, sandbox)
    await core.records.keep(recordsOf(sandbox, entry))
  })
  if (effects === undefined) await core.records.keep(recordsOf(sandbox, entry))
  await core.executor.leave(sandbox.record.key, plan)
  if (effects !== undefined) {
    if (entry.isGatewayElsewhere === true) await ceaseGateway(core, entry, effects)
    await leaveElsewhere(core, before.record, plan)
    await core.records.keep(recordsOf(sandbox, entry))
  }
  rollback.commit()
  await core.loopback?.remove(plan.firewall)
  try {
    await electGateways(core, sandbox)
  } catch (error) {
    // The endpoint has left, whatever becomes of the others' routes.
    loseGateway(core, sandbox, error)
  }
  await updateNaming(core, sandbox)
  core.logger.debug({ endpointId: entry.record.id, sandboxId: sandbox.record.id }, 'endpoint left')
}

/**
 * Undoes {@link joinLocked} as far as that goes: every step is tried. A store that takes no writes learns of it with the
 * next record of the endpoint.
 */
async function discardJoin(core: Core, entry: EndpointEntry, sandbox: SandboxEntry): Promise<void> {
  const { record } = entry
  const plan = planOf(core, entry, sandbox)
  const effects = effectsOf(core, entry)
  await using steps = new Rollback()
  steps.defer('record', () => core.records.keep(recordsOf(sandbox, entry)))
  steps.defer('default routes', async () => {
    await electGateways(core, sandbox)
    await updateNaming(core, sandbox)
  })
  steps.defer('place in the sandbox', () => {
    entry.record = { ...record, ...NOT_JOINED }
    entry.gatewayFor = []
    sandbox.endpoints.delete(entry)
  })
  steps.defer('ports of ::1', () => core.loopback?.remove(plan.firewall))
  if (effects !== undefined) steps.defer('driver', () => leaveWithSandbox(core, entry, { effects, plan }))
  steps.defer('interface', () => core.executor.leave(sandbox.record.key, plan))
  steps.defer('names', () => {
    vanish(core, entry)
  })
  if (effects !== undefined) steps.defer('record that it leaves', () => keepLeaving(core, entry))
}

/**
 * Undoes {@link prepareSandbox}, and what came of it, as far as that goes, for whoever holds its lock: every step is
 * tried. What a store that takes no writes still has of it goes with the next write.
 */
async function discardSandbox(core: Core, sandbox: SandboxEntry): Promise<void> {
  const { key } = sandbox.record
  sandbox.record = { ...sandbox.record, phase: 'deleting' }
  // Whoever joined has left again, but for one that could not be taken away.
  const gateway = findGatewayEndpoint(sandbox)
  await using steps = new Rollback()
  steps.defer('record', () => core.records.discard({ sandboxes: [sandbox] }))
  steps.defer('container', () => {
    core.state.removeSandbox(sandbox)
  })
  steps.defer('namespace', () => core.executor.deleteSandbox(key, []))
  steps.defer('names', () => sandbox.naming.close())
  if (isOthers(sandbox)) steps.defer('names in the namespace', () => sandbox.naming.release())
  if (gateway !== undefined) steps.defer('gateway endpoint', () => discardGateway(core, gateway, sandbox))
}

/** Undoes what was made so that a sandbox reaches the outside. */
async function discardGateway(core: Core, gateway: EndpointEntry, sandbox: SandboxEntry): Promise<void> {
  using _lock = await core.locks.lock(gateway.record.id)
  await using steps = new Rollback()
  steps.defer('gateway endpoint', () => discardEndpoint(core, gateway))
  steps.defer('its join', () => discardJoin(core, gateway, sandbox))
}

/** Endpoint, sandbox and join as one: all three, or nothing is left. */
export async function attach(
  core: Core,
  request: AttachRequest,
  call?: CallOptions,
): Promise<{ endpoint: EndpointEntry; sandbox: SandboxEntry }> {
  const wanted = request.network ?? core.defaults.network
  if (wanted === undefined) {
    const problem = 'expected a network, its id or its name, where there is no default network'
    throw new InvalidRequestError('request to attach', 'network', problem)
  }
  const network = core.state.getNetwork(idOf('network', wanted))
  const ids = { sandbox: randomId(), endpoint: randomId() }
  // Whoever finds one of the two meanwhile waits: it is to be in the other, or gone.
  using _sandboxLock = await core.locks.lock(ids.sandbox, call)
  using _endpointLock = await core.locks.lock(ids.endpoint, call)
  await using rollback = new Rollback()
  const endpoint = await prepareEndpoint(core, network, { ...request.endpoint, id: ids.endpoint }, call)
  rollback.defer('create endpoint', () => discardEndpoint(core, endpoint))
  const sandbox = await prepareSandbox(core, { ...request.sandbox, id: ids.sandbox }, { ...call, attached: endpoint })
  rollback.defer('create sandbox', () => discardSandbox(core, sandbox))
  await joinAndSettle(core, endpoint, sandbox, request.join ?? {}, call)
  rollback.commit()
  return { endpoint, sandbox }
}
