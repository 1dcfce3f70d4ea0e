import type {
  DriverEffects,
  EndpointRecord,
  JoinPlan,
  NetworkDriver,
  NetworkRecord,
  SandboxRecord,
} from '@net/driverapi'
import { isNetError, type CallOptions, type Rollback } from '@net/types'
import type { Core } from './core.ts'
import type { EndpointEntry, NetworkEntry, SandboxEntry } from './state.ts'

// What drivers do themselves, at its place in an operation: always after it is recorded that it is going to be done, so
// that it is undone should the process die. What undoes never fails: a driver that is not there holds nobody up.

/** What the driver of an endpoint's network does itself. */
export function effectsOf(core: Core, { record }: EndpointEntry): DriverEffects | undefined {
  return core.drivers.get(core.state.getNetwork(record.networkId).record.driver).effects
}

/** Has a network made, whose record says that it is being made. */
export async function createNetworkElsewhere(
  core: Core,
  entry: NetworkEntry,
  { effects, rollback }: { readonly effects: DriverEffects; readonly rollback: Rollback },
  call?: CallOptions,
): Promise<void> {
  const pools = {
    addressSpace: entry.ipam.addressSpaces.local,
    auxAddresses: Object.assign({}, ...entry.pools.map(({ auxAddresses }) => auxAddresses)) as Record<string, string>,
  }
  await attempt(() => effects.createNetwork(entry.record, pools, call), {
    rollback,
    undo: () => deleteNetworkElsewhere(core, entry.record),
  })
}

/** Has a network unmade. */
export async function deleteNetworkElsewhere(core: Core, network: NetworkRecord): Promise<void> {
  const { effects } = core.drivers.get(network.driver)
  if (effects === undefined) return
  await told(core, { networkId: network.id }, () => effects.deleteNetwork(network))
}

/** Has an endpoint made, and takes over what was chosen of what it did not have. Its record comes first. */
export async function createEndpointElsewhere(
  core: Core,
  entry: EndpointEntry,
  { effects, rollback }: { readonly effects: DriverEffects; readonly rollback: Rollback },
  call?: CallOptions,
): Promise<void> {
  const { record: network } = core.state.getNetwork(entry.record.networkId)
  rollback.defer('keep endpoint', () => core.records.discard({ endpoints: [entry] }))
  await core.records.keep({ endpoints: [entry] }, { ...call, phase: 'creating' })
  const chosen = await attempt(() => effects.createEndpoint(network, entry.record, call), {
    rollback,
    undo: () => deleteEndpointElsewhere(core, network, entry.record),
  })
  const { address, address6, macAddress } = entry.record
  entry.record = {
    ...entry.record,
    address: address ?? chosen.address,
    address6: address6 ?? chosen.address6,
    macAddress: macAddress === '' ? (chosen.macAddress ?? '') : macAddress,
  }
}

/** Has an endpoint unmade. */
export async function deleteEndpointElsewhere(
  core: Core,
  network: NetworkRecord,
  endpoint: EndpointRecord,
): Promise<void> {
  const { effects } = core.drivers.get(network.driver)
  if (effects === undefined) return
  await told(core, { endpointId: endpoint.id }, () => effects.deleteEndpoint(network, endpoint))
}

/** What a join is about. */
export interface JoinElsewhere {
  readonly network: NetworkRecord
  readonly driver: NetworkDriver
  readonly effects: DriverEffects
  readonly sandbox: SandboxEntry
  readonly rollback: Rollback
}

/**
 * Has an endpoint joined, and remembers of it what plans go by. From its record, that it is in a sandbox and has no
 * interface there, a successor of this process sees how far it came.
 */
export async function joinElsewhere(
  core: Core,
  entry: EndpointEntry,
  { network, driver, effects, sandbox, rollback }: JoinElsewhere,
  call?: CallOptions,
): Promise<void> {
  entry.record = { ...entry.record, sandboxId: sandbox.record.id }
  await core.records.keep({ endpoints: [entry] }, call)
  const joined = await attempt(() => effects.join(network, entry.record, sandbox.record, call), {
    rollback,
    undo: () => leaveElsewhere(core, entry.record, driver.planEndpoint(network, entry.record, sandbox.record)),
  })
  entry.record = { ...entry.record, joined }
  const [link] = driver.planEndpoint(network, entry.record, sandbox.record).sandbox.existing ?? []
  if (link === undefined || entry.record.macAddress !== '') return
  entry.record = { ...entry.record, macAddress: core.executor.findHostLink(link.hostName)?.macAddress ?? '' }
}

/** Records that an endpoint is about to leave its sandbox. */
export async function keepLeaving(core: Core, entry: EndpointEntry): Promise<void> {
  const { interfaceName: _, ...record } = entry.record
  await core.records.keep({ endpoints: [{ ...entry, record }] })
}

/** Has an endpoint leave. Links that its driver was not told of are deleted: nobody else would. */
export async function leaveElsewhere(core: Core, endpoint: EndpointRecord, plan: JoinPlan): Promise<void> {
  const { record: network } = core.state.getNetwork(endpoint.networkId)
  const { effects } = core.drivers.get(network.driver)
  if (effects === undefined) return
  const isTold = await told(core, { endpointId: endpoint.id }, () => effects.leave(network, endpoint))
  if (!isTold) await core.executor.discard(plan)
}

/** Tells the drivers of a sandbox' endpoints which of them serve its default routes, where that changed. */
export async function settleGatewaysElsewhere(
  core: Core,
  endpoints: readonly EndpointEntry[],
  call?: CallOptions,
): Promise<void> {
  for (const entry of endpoints) {
    const effects = effectsOf(core, entry)
    const isGateway = entry.gatewayFor.length > 0
    if (effects === undefined || isGateway === (entry.isGatewayElsewhere ?? false)) continue
    const { record: network } = core.state.getNetwork(entry.record.networkId)
    if (isGateway) await effects.becomeGateway(network, entry.record, call)
    else await ceaseGateway(core, entry, effects)
    entry.isGatewayElsewhere = isGateway
  }
}

/** An endpoint that leaves serves nothing any more. */
export async function ceaseGateway(core: Core, entry: EndpointEntry, effects: DriverEffects): Promise<void> {
  const { record: network } = core.state.getNetwork(entry.record.networkId)
  await told(core, { endpointId: entry.record.id }, () => effects.ceaseGateway(network, entry.record))
  entry.isGatewayElsewhere = false
}

/** Undoes what was being joined, or left, when an earlier process died. */
export async function leaveAgain(core: Core, entry: EndpointEntry, sandbox: SandboxRecord): Promise<void> {
  const { record: network } = core.state.getNetwork(entry.record.networkId)
  const plan = core.drivers.get(network.driver).planEndpoint(network, entry.record, sandbox)
  await core.executor.leave(sandbox.key, plan)
  await leaveElsewhere(core, entry.record, plan)
  entry.record = { ...entry.record, ...NOT_JOINED }
  await core.records.keep({ endpoints: [entry] })
}

/** What the record of an endpoint says of its sandbox, once it is in none. */
export const NOT_JOINED = {
  ...{ sandboxId: undefined, interfaceName: undefined, priority: undefined, sandboxAliases: undefined },
  joined: undefined,
} as const

/** Whether a driver is not there at all, and was not asked for anything. */
export function isAbsent(error: unknown): boolean {
  if (isNetError(error, 'ERR_PLUGIN_NOT_FOUND')) return true
  return isNetError(error, 'ERR_PLUGIN_UNAVAILABLE') && (error as { readonly outcome?: unknown }).outcome === 'none'
}

/** Does something that is undone when it fails too, unless nobody was asked. */
async function attempt<T>(
  work: () => Promise<T>,
  { rollback, undo }: { readonly rollback: Rollback; readonly undo: () => Promise<void> },
): Promise<T> {
  let isAsked = true
  rollback.defer('ask the driver', () => (isAsked ? undo() : undefined))
  try {
    return await work()
  } catch (error) {
    isAsked = !isAbsent(error)
    throw error
  }
}

/** Tells a driver of what is gone, whatever it says, and says whether it heard and agreed. */
async function told(core: Core, fields: object, work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    core.logger.warn({ ...fields, err: error }, 'network driver did not take part in undoing')
    return false
  }
}
