import type { EndpointRecord, JoinPlan, NetworkRecord, SandboxRecord } from '@net/driverapi'
import type { AddressFamily } from '@net/types'
import type { Core } from './core.ts'
import { recordOf, type EndpointEntry, type SandboxEntry } from './state.ts'

/** The plan of an endpoint in a sandbox, with the default routes it has been elected for. */
export function planOf(core: Core, entry: EndpointEntry, sandbox: SandboxEntry): JoinPlan {
  const network = core.state.getNetwork(entry.record.networkId)
  const plan = core.drivers.get(network.record.driver).planEndpoint(network.record, recordOf(entry), sandbox.record)
  offers.set(entry.record, { network: network.record, sandbox: sandbox.record, gateways: plan.sandbox.gateways })
  const { ipv4, ipv6 } = plan.sandbox.gateways
  const gateways = {
    ipv4: entry.gatewayFor.includes(4) ? ipv4 : undefined,
    ipv6: entry.gatewayFor.includes(6) ? ipv6 : undefined,
  }
  return { ...plan, sandbox: { ...plan.sandbox, gateways } }
}

/** What an endpoint offers, and what follows from nothing but these. */
interface Offer {
  readonly network: NetworkRecord
  readonly sandbox: SandboxRecord
  readonly gateways: JoinPlan['sandbox']['gateways']
}

/** As they were planned last. Records do not change: what changes gets another. */
const offers = new WeakMap<EndpointRecord, Offer>()

/** Next hops of the default routes of every family that an endpoint offers. Its ports, which may be many, do not matter. */
export function gatewaysOf(core: Core, entry: EndpointEntry, sandbox: SandboxEntry): JoinPlan['sandbox']['gateways'] {
  const network = core.state.getNetwork(entry.record.networkId)
  const offer = offers.get(entry.record)
  if (offer?.network === network.record && offer.sandbox === sandbox.record) return offer.gateways
  return insideOf(core, entry, sandbox).gateways
}

/** What an endpoint would have in a sandbox if it served every default route that it offers. */
function insideOf(core: Core, { record }: EndpointEntry, sandbox: SandboxEntry): JoinPlan['sandbox'] {
  const network = core.state.getNetwork(record.networkId)
  const silent = { ...record, ports: [] }
  return core.drivers.get(network.record.driver).planEndpoint(network.record, silent, sandbox.record).sandbox
}

/** The endpoints joined to a sandbox, those first that are to serve its default routes. */
export function orderByGateway(sandbox: SandboxEntry): EndpointEntry[] {
  // The sort is stable: those of one priority stay in the order of joining.
  return endpointsOf(sandbox).sort((one, other) => priorityOf(other) - priorityOf(one))
}

/**
 * The endpoints joined to a sandbox, those first on whose networks names are looked up first: that of the default route,
 * of IPv4 where there are two, then those that are not internal; else as in {@link orderByGateway}.
 */
export function orderByNames(core: Core, sandbox: SandboxEntry): EndpointEntry[] {
  return orderByGateway(sandbox).sort((one, other) => rankOf(core, one) - rankOf(core, other))
}

function rankOf(core: Core, { record, gatewayFor }: EndpointEntry): number {
  if (gatewayFor.includes(4)) return 0
  if (gatewayFor.includes(6)) return 1
  return core.state.getNetwork(record.networkId).record.internal ? 3 : 2
}

/** The families that `entry` offers a default route for and that none of `all` of its priority or a higher one serves. */
function electable(
  core: Core,
  entry: EndpointEntry,
  { sandbox, all }: { readonly sandbox: SandboxEntry; readonly all: readonly EndpointEntry[] },
): AddressFamily[] {
  const { ipv4, ipv6 } = gatewaysOf(core, entry, sandbox)
  const isServed = (family: AddressFamily): boolean =>
    all.some((other) => priorityOf(other) >= priorityOf(entry) && other.gatewayFor.includes(family))
  const offered: AddressFamily[] = [
    ...(ipv4 === undefined ? [] : ([4] as const)),
    ...(ipv6 === undefined ? [] : ([6] as const)),
  ]
  return offered.filter((family) => !isServed(family))
}

/** Takes the default routes over that `entry` is to serve, and says which families these are of. */
export function takeGateways(core: Core, entry: EndpointEntry, sandbox: SandboxEntry): AddressFamily[] {
  const all = endpointsOf(sandbox)
  const families = electable(core, entry, { sandbox, all })
  if (families.length === 0) return families
  for (const other of all) {
    other.gatewayFor = other.gatewayFor.filter((family) => !families.includes(family))
  }
  entry.gatewayFor = [...entry.gatewayFor, ...families]
  return families
}

function priorityOf({ record }: EndpointEntry): number {
  return record.priority ?? 0
}

async function addGateways(
  core: Core,
  sandbox: SandboxEntry,
  { entry, families }: { readonly entry: EndpointEntry; readonly families: readonly AddressFamily[] },
): Promise<void> {
  const inside = insideOf(core, entry, sandbox)
  const gateways = {
    ipv4: families.includes(4) ? inside.gateways.ipv4 : undefined,
    ipv6: families.includes(6) ? inside.gateways.ipv6 : undefined,
  }
  await core.executor.addGateways(sandbox.record.key, { ...inside, gateways })
}

/**
 * After the endpoint that served them left: the default routes pass to those of the highest priority, and of these to
 * those that joined first.
 */
export async function electGateways(core: Core, sandbox: SandboxEntry): Promise<void> {
  const all = orderByGateway(sandbox)
  for (const entry of all) {
    const families = electable(core, entry, { sandbox, all })
    if (families.length === 0) continue
    if (!isAwaited(sandbox)) await addGateways(core, sandbox, { entry, families })
    takeGateways(core, entry, sandbox)
  }
}

/** Whether a sandbox has no namespace yet: somebody else is to bring one. */
export function isAwaited({ record }: SandboxEntry): boolean {
  return record.namespace === 'awaited'
}

/** Whether an endpoint has its interface, and not only its place in a sandbox. */
export function isInPlace(core: Core, { record }: EndpointEntry): boolean {
  return record.sandboxId !== undefined && !isAwaited(core.state.getSandbox(record.sandboxId))
}

/** What all sandboxes that have a namespace are to have, by their keys. */
export async function joinsOf(core: Core): Promise<{ readonly key: string; readonly plan: JoinPlan }[]> {
  const joins: { readonly key: string; readonly plan: JoinPlan }[] = []
  for (const sandbox of core.state.sandboxes.values()) {
    if (isAwaited(sandbox)) continue
    await core.turns.take()
    for (const entry of endpointsOf(sandbox)) {
      joins.push({ key: sandbox.record.key, plan: planOf(core, entry, sandbox) })
    }
  }
  return joins
}

/** What sandboxes that wait for their namespaces will have in them. */
export async function awaitedPlans(core: Core): Promise<JoinPlan[]> {
  const plans: JoinPlan[] = []
  for (const sandbox of core.state.sandboxes.values()) {
    if (!isAwaited(sandbox)) continue
    await core.turns.take()
    for (const entry of endpointsOf(sandbox)) plans.push(planOf(core, entry, sandbox))
  }
  return plans
}

/** The endpoints joined to a sandbox, in the order of joining. */
export function endpointsOf(sandbox: SandboxEntry): EndpointEntry[] {
  return [...sandbox.endpoints]
}
