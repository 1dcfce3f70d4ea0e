import { parseCidr, randomId, Rollback, type CallOptions } from '@net/types'
import type { Core } from './core.ts'
import { effectsOf, settleGatewaysElsewhere } from './elsewhere.ts'
import { discardEndpoint, forgetEndpoint, prepareEndpoint } from './endpoint-operations.ts'
import { endpointsOf, gatewaysOf, planOf } from './gateways.ts'
import { joinLocked, leaveLocked } from './join-operations.ts'
import { createNetwork } from './network-operations.ts'
import type { EndpointEntry, NetworkEntry, SandboxEntry } from './state.ts'

// libnetwork: docker_gwbridge.

/** Any other endpoint that offers a default route serves it. */
const PRIORITY = Number.MIN_SAFE_INTEGER

/** Whether an endpoint is there only so that its sandbox reaches the outside. It has no names, and comes and goes by itself. */
export function isGatewayEndpoint({ record }: EndpointEntry, sandbox: SandboxEntry): boolean {
  return record.name === nameFor(sandbox)
}

/** The endpoint by which a sandbox reaches the outside, where its own networks do not lead there. */
export function findGatewayEndpoint(sandbox: SandboxEntry): EndpointEntry | undefined {
  return endpointsOf(sandbox).find((entry) => isGatewayEndpoint(entry, sandbox))
}

/** Of the whole id: of shortened ones two could be alike. */
function nameFor({ record }: SandboxEntry): string {
  return `gateway_${record.id}`
}

/**
 * Gives a sandbox an endpoint on the gateway network where it needs one, and takes it away where it does not. Whoever
 * calls holds the lock of the sandbox.
 */
export async function settleGateway(core: Core, sandbox: SandboxEntry, call?: CallOptions): Promise<void> {
  const gateway = findGatewayEndpoint(sandbox)
  const isNeeded = needsGateway(core, sandbox)
  if (isNeeded && gateway === undefined) await addGateway(core, sandbox, call)
  if (!isNeeded && gateway !== undefined) {
    using _lock = await core.locks.lock(gateway.record.id)
    await leaveLocked(core, gateway, { forGood: true })
    await forgetEndpoint(core, gateway)
  }
  const endpoints = endpointsOf(sandbox)
  if (endpoints.some((entry) => effectsOf(core, entry) !== undefined)) {
    await settleGatewaysElsewhere(core, endpoints, call)
  }
}

/** A sandbox that reaches the outside no more, since what an endpoint that left did for it nobody else could. */
export interface GatewayLost {
  readonly kind: 'gateway-lost'
  readonly containerId: string
  readonly error: Error
}

/** Tells of a sandbox whose way to the outside could not be passed on. */
export function loseGateway(core: Core, { record: { id, containerId } }: SandboxEntry, error: unknown): void {
  core.logger.error({ err: error, sandboxId: id }, 'way to the outside could not be passed on')
  core.tell({ kind: 'gateway-lost', containerId, error: error instanceof Error ? error : new Error(String(error)) })
}

/** As {@link settleGateway}, after an endpoint left: it has, whatever becomes of the way to the outside. */
export async function settleGatewayAfter(core: Core, sandbox: SandboxEntry): Promise<void> {
  try {
    await settleGateway(core, sandbox)
  } catch (error) {
    loseGateway(core, sandbox, error)
  }
}

/** Whether a sandbox is on a network that needs another to reach the outside, and on none that reaches it. */
function needsGateway(core: Core, sandbox: SandboxEntry): boolean {
  const others = endpointsOf(sandbox).filter((entry) => {
    const { internal } = core.state.getNetwork(entry.record.networkId).record
    return !internal && !isGatewayEndpoint(entry, sandbox)
  })
  return (
    others.some((entry) => lacksGateway(core, entry)) &&
    !others.some((entry) => leadsOut(core, entry, sandbox)) &&
    !others.some((entry) => planOf(core, entry, sandbox).sandbox.needsNoGateway === true)
  )
}

/** Whether an endpoint offers a default route, or has one of its own among its routes. */
function leadsOut(core: Core, entry: EndpointEntry, sandbox: SandboxEntry): boolean {
  const { ipv4, ipv6 } = gatewaysOf(core, entry, sandbox)
  if (ipv4 !== undefined || ipv6 !== undefined) return true
  const { links, existing = [] } = planOf(core, entry, sandbox).sandbox
  const routes = [...links, ...existing].flatMap((link) => link.routes)
  return routes.some(({ destination }) => parseCidr(destination).prefixLength === 0)
}

function lacksGateway(core: Core, { record }: EndpointEntry): boolean {
  const { driver } = core.state.getNetwork(record.networkId).record
  return core.drivers.get(driver).needsGatewayNetwork === true
}

async function addGateway(core: Core, sandbox: SandboxEntry, call?: CallOptions): Promise<void> {
  const network = await gatewayNetwork(core, call)
  const id = randomId()
  using _lock = await core.locks.lock(id, call)
  await using rollback = new Rollback()
  const entry = await prepareEndpoint(core, network, { id, name: nameFor(sandbox) }, call)
  rollback.defer('create gateway endpoint', () => discardEndpoint(core, entry))
  await joinLocked(core, entry, sandbox, { priority: PRIORITY }, call)
  rollback.commit()
}

/** The network of that name, which may be there already, of the user's making; else one is made. */
async function gatewayNetwork(core: Core, call?: CallOptions): Promise<NetworkEntry> {
  using _lock = await core.locks.lock('gateway network', call)
  const name = core.defaults.gatewayNetwork
  // Containers that meet only there are strangers.
  const options = { 'com.docker.network.bridge.enable_icc': 'false' }
  return (
    core.state.findNetwork(name) ?? (await createNetwork(core, { name, driver: 'bridge', ipv6: false, options }, call))
  )
}
