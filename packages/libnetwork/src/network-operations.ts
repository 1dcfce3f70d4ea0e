import type { NetworkRecord, Subnet } from '@net/driverapi'
import type { IpamDriver, PoolRequest } from '@net/ipamapi'
import {
  isNetError,
  labels,
  parseAddress,
  parseCidr,
  randomId,
  Rollback,
  type AddressFamily,
  type CallOptions,
} from '@net/types'
import type { Core } from './core.ts'
import { ActiveEndpointsError, BusyError, InvalidRequestError, NoSuchIpamDriverError } from './errors.ts'
import { hostPrefixes } from './host-prefixes.ts'
import { parseCreateNetwork, type CreateNetworkRequest, type PoolConfig } from './requests.ts'
import type { NetworkEntry } from './state.ts'

/** Makes a network, or leaves nothing behind. */
export async function createNetwork(
  core: Core,
  unchecked: CreateNetworkRequest,
  call?: CallOptions,
): Promise<NetworkEntry> {
  call?.signal?.throwIfAborted()
  const request = parseCreateNetwork(unchecked)
  const driver = core.drivers.get(request.driver ?? 'bridge')
  const ipam = ipamOf(core, request.ipam?.driver ?? 'default')
  const pools = poolsOf(request)
  const id = randomId()
  const internal = request.internal ?? false
  const options = driver.checkNetwork({
    id,
    name: request.name,
    internal,
    ipv6: pools.has(6),
    options: { ...request.labels, ...request.options },
    existing: Array.from(core.state.networks.values(), ({ record }) => record).filter(
      (record) => record.driver === driver.type,
    ),
  })

  await using rollback = new Rollback()
  const entry: NetworkEntry = {
    record: {
      id,
      name: request.name,
      driver: driver.type,
      phase: 'creating',
      internal,
      labels: request.labels ?? {},
      options,
    },
    ipam,
    endpointsByName: new Map(),
  }
  core.state.addNetwork(entry)
  rollback.defer('record network', () => {
    core.state.removeNetwork(entry)
  })

  const isChosen = [...pools.values()].some((config) => config === undefined)
  const exclude = isChosen ? hostPrefixes(core.executor) : []
  for (const [family, config] of pools) {
    const request = { addressSpace: ipam.addressSpaces.local, family, pool: config?.pool, subPool: config?.subPool }
    const subnet = await takeSubnet(
      ipam,
      config === undefined ? { ...request, exclude } : request,
      config?.gateway,
      rollback,
      call,
    )
    entry.record = { ...entry.record, [family === 4 ? 'ipv4' : 'ipv6']: subnet }
  }
  await core.executor.createNetwork(driver.planNetwork(entry.record), call)

  entry.record = { ...entry.record, phase: 'ready' }
  rollback.commit()
  core.logger.info({ networkId: id, name: request.name, ...subnetsOf(entry.record) }, 'network created')
  return entry
}

/** Unmakes a network that nobody is on. One that is gone already is no error. */
export async function deleteNetwork(core: Core, entry: NetworkEntry): Promise<void> {
  using _lock = await core.locks.lock(entry.record.id)
  if (!core.state.networks.has(entry.record.id)) return
  if (entry.record.phase === 'creating') throw new BusyError(`network ${entry.record.name}`, 'being created')
  if (entry.endpointsByName.size > 0) {
    throw new ActiveEndpointsError(entry.record.name, [...entry.endpointsByName.keys()])
  }
  // From here on nobody can join: whatever fails, asking again goes on where it stopped.
  entry.record = { ...entry.record, phase: 'deleting' }
  await core.executor.deleteNetwork(core.drivers.get(entry.record.driver).planNetwork(entry.record))
  for (const subnet of [entry.record.ipv4, entry.record.ipv6]) {
    if (subnet !== undefined) await releasePool(entry.ipam, subnet)
  }
  core.state.removeNetwork(entry)
  core.logger.info({ networkId: entry.record.id, name: entry.record.name }, 'network deleted')
}

/** Lets a pool go; one that an earlier try let go already is no error. */
async function releasePool(ipam: IpamDriver, { poolId }: Subnet): Promise<void> {
  try {
    await ipam.releasePool(poolId)
  } catch (error) {
    if (!isNetError(error, 'ERR_NO_SUCH_POOL')) throw error
  }
}

function ipamOf(core: Core, name: string): IpamDriver {
  const ipam = core.ipam.get(name)
  if (ipam === undefined) throw new NoSuchIpamDriverError(name, [...core.ipam.keys()])
  return ipam
}

/** The families that the network has, each with its pool as far as it was given. */
function poolsOf(request: CreateNetworkRequest): Map<AddressFamily, PoolConfig | undefined> {
  const pools = new Map<AddressFamily, PoolConfig | undefined>([[4, undefined]])
  if (request.ipv6 === true) pools.set(6, undefined)
  for (const config of request.ipam?.pools ?? []) {
    const { family } = parseCidr(config.pool).address
    if (config.gateway !== undefined) parseAddress(config.gateway)
    if (pools.get(family) !== undefined) {
      throw new InvalidRequestError(
        'network',
        'ipam.pools',
        `expected at most one pool a family, got ${config.pool} too`,
      )
    }
    if (family === 6 && request.ipv6 === false) {
      throw new InvalidRequestError(
        'network',
        'ipam.pools',
        `expected no IPv6 pool with ipv6: false, got ${config.pool}`,
      )
    }
    pools.set(family, config)
  }
  return pools
}

/** Takes a pool and, unless the manager chose one with it, the host's address in it. */
async function takeSubnet(
  ipam: IpamDriver,
  request: PoolRequest,
  gateway: string | undefined,
  rollback: Rollback,
  call: CallOptions | undefined,
): Promise<Subnet> {
  const { id, pool, data } = await ipam.requestPool(request, call)
  rollback.defer(`take pool ${pool}`, () => ipam.releasePool(id))
  const chosen = gateway === undefined ? data[labels.gateway] : undefined
  if (chosen !== undefined) return { poolId: id, pool, gateway: chosen }
  const { address } = await ipam.requestAddress(id, { address: gateway, purpose: 'gateway' }, call)
  return { poolId: id, pool, gateway: address }
}

function subnetsOf({ ipv4, ipv6 }: NetworkRecord): Record<string, string | undefined> {
  return { ipv4: ipv4?.pool, ipv6: ipv6?.pool }
}
