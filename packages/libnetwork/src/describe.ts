import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { EndpointRecord, NetworkRecord, SandboxRecord, Subnet } from '@net/driverapi'
import type { IpamDriver } from '@net/ipamapi'
import type { Difference, HostReport } from '@net/osl'
import type { ResolverStatistics } from '@net/resolver'
import { isNetError, type AddressFamily } from '@net/types'
import type { Core } from './core.ts'
import { heldAddresses } from './endpoint-operations.ts'
import { isAwaited, joinsOf } from './gateways.ts'
import { recordOf, type NetworkEntry } from './state.ts'
import { subnetsOf } from './subnets.ts'

/** Everything that a controller knows, and what the kernel has, side by side. Plain JSON. */
export interface ControllerDescription {
  readonly id: string
  /** Operations under way: what is different may be their doing. */
  readonly operations: number
  /** In the order of their ids, as all of these. */
  readonly networks: readonly NetworkDescription[]
  readonly endpoints: readonly EndpointDescription[]
  readonly sandboxes: readonly SandboxDescription[]
  /** Records that nothing can be done with, by their keys, and why. */
  readonly refused: readonly { readonly key: string; readonly error: string }[]
  /** What the kernel has. */
  readonly host: HostReport
  /** Where the two differ: empty when all is as it is to be. */
  readonly differences: readonly Difference[]
}

/** A network, its address manager, and who has which of its addresses. */
export interface NetworkDescription extends NetworkRecord {
  /** Its address manager. */
  readonly ipam: string
  readonly leases: readonly PoolLease[]
}

/** A pool, and who has which of its addresses. */
export interface PoolLease extends Subnet {
  /** What the address manager counts, in decimal; absent where it does not count, and of a pool that was let go. */
  readonly taken?: string | undefined
  readonly available?: string | undefined
  readonly addresses: readonly { readonly address: string; readonly endpointId: string }[]
}

/** An endpoint with the ports that it publishes. */
export interface EndpointDescription extends EndpointRecord {
  /** The families whose default route in its sandbox goes by way of it. */
  readonly gatewayFor: readonly AddressFamily[]
}

/** A sandbox, and who joined it. */
export interface SandboxDescription extends SandboxRecord {
  /** Ids, in the order of joining. */
  readonly endpoints: readonly string[]
  /** What its resolver has done; absent where it has none. */
  readonly dns?: ResolverStatistics | undefined
}

/** Describes a controller. Looking takes turns: the event loop goes on however much there is. */
export async function describe(core: Core, id: string): Promise<ControllerDescription> {
  const { networks, endpoints, sandboxes } = core.state
  const inPlace = [...networks.values()].filter(({ record }) => record.phase === 'ready')
  const { host, differences } = await core.executor.inspect({
    networks: [
      ...inPlace.map(({ record }) => core.drivers.get(record.driver).planNetwork(record)),
      { links: [], sysctls: [], firewall: core.state.claims.facts() },
    ],
    joins: await joinsOf(core),
    keys: [...sandboxes.values()]
      .filter((sandbox) => !isAwaited(sandbox))
      .map(({ record }) => record.key)
      .sort(),
  })
  const described: NetworkDescription[] = []
  for (const network of networks.values()) described.push(await describeNetwork(core, network))
  return {
    id,
    operations: core.underWay - 1,
    networks: described.sort(byId),
    endpoints: Array.from(endpoints.values(), (entry) => ({
      ...recordOf(entry),
      gatewayFor: entry.gatewayFor,
    })).sort(byId),
    sandboxes: Array.from(sandboxes.values(), (entry) => ({
      ...entry.record,
      endpoints: Array.from(entry.endpoints, ({ record: { id } }) => id),
      dns: entry.naming.statistics(),
    })).sort(byId),
    refused: Array.from(core.state.claims.refused, ([key, { message }]) => ({ key, error: message })),
    host,
    differences: [...differences, ...namespacesOfNobody(core)],
  }
}

async function describeNetwork(
  core: Core,
  { record, ipam, endpointsByName }: NetworkEntry,
): Promise<NetworkDescription> {
  await core.turns.take()
  const holders = Array.from(endpointsByName.values(), (id) => core.state.getEndpoint(id).record).sort(byId)
  const addresses = holders.flatMap((holder) =>
    heldAddresses(record, holder).map(({ poolId, address }) => ({ poolId, address, endpointId: holder.id })),
  )
  const leases = subnetsOf(record).map(async (subnet) => ({
    ...subnet,
    ...(await count(ipam, subnet)),
    addresses: addresses
      .filter(({ poolId }) => poolId === subnet.poolId)
      .map(({ address, endpointId }) => ({ address, endpointId })),
  }))
  return { ...record, ipam: ipam.name, leases: await Promise.all(leases) }
}

/** Counts nothing of a pool that was let go already: its network is being unmade. */
async function count(ipam: IpamDriver, { poolId }: Subnet): Promise<Pick<PoolLease, 'taken' | 'available'>> {
  try {
    const status = await ipam.poolStatus?.(poolId)
    return status === undefined ? {} : { taken: String(status.taken), available: String(status.available) }
  } catch (error) {
    if (isNetError(error, 'ERR_NO_SUCH_POOL')) return {}
    throw error
  }
}

/** Namespaces in the controller's folder that no sandbox has. */
function namespacesOfNobody(core: Core): Difference[] {
  const known = new Set(Array.from(core.state.sandboxes.values(), ({ record }) => record.key))
  return readdirSync(core.folder)
    .filter((name) => /^[0-9a-f]{12}$/.test(name))
    .map((name) => join(core.folder, name))
    .filter((path) => !known.has(path))
    .map((path) => ({ what: 'unexpected', subject: `namespace ${path}` }))
}

function byId(one: { readonly id: string }, other: { readonly id: string }): number {
  return one.id < other.id ? -1 : 1
}
