import type { Phase, Subnet } from '@net/driverapi'
import { NameTable } from '@net/resolver'
import { isNetError, randomId, Rollback, type CallOptions } from '@net/types'
import { applyConfig, createConfig, refuseInUse } from './config-networks.ts'
import type { Core } from './core.ts'
import { createNetworkElsewhere, deleteNetworkElsewhere } from './elsewhere.ts'
import { ActiveEndpointsError, ScopeMismatchError } from './errors.ts'
import { deleteEndpoint } from './endpoint-operations.ts'
import { giveBack } from './ipam-releases.ts'
import type { CreateNetworkRequest } from './requests.ts'
import type { NetworkEntry } from './state.ts'
import { poolsOf, subnetsOf, takeSubnets } from './subnets.ts'

/** Makes a network, or leaves nothing behind. */
export async function createNetwork(
  core: Core,
  asked: CreateNetworkRequest,
  call?: CallOptions,
): Promise<NetworkEntry> {
  call?.signal?.throwIfAborted()
  if (asked.configOnly === true) return createConfig(core, asked, call)
  const id = randomId()
  using _lock = await core.locks.lock(id, call)
  const { request } = applyConfig(core, asked)
  const type = request.driver ?? core.defaults.driver
  const driver = core.drivers.find(type) ?? (await core.driverPlugins.get(type, call))
  if (request.scope !== undefined && request.scope !== driver.scope) {
    throw new ScopeMismatchError(driver.type, driver.scope, request.scope)
  }
  const ipam = await core.ipam.get(request.ipam?.driver ?? 'default', call)
  const pools = poolsOf(request)
  // Nobody waits from here on until the network is known: what it is made from stays.
  const { config } = applyConfig(core, asked)
  const internal = request.internal ?? false
  const options = driver.checkNetwork({
    id,
    name: request.name,
    internal,
    ipv4: pools.has(4),
    ipv6: pools.has(6),
    options: { ...request.labels, ...request.options },
    existing: Array.from(core.state.networks.values(), ({ record }) => record).filter(
      (record) => record.driver === driver.type,
    ),
    findHostLink: (name) => core.executor.findHostLink(name),
  })

  await using rollback = new Rollback()
  const entry: NetworkEntry = {
    record: {
      id,
      name: request.name,
      driver: driver.type,
      phase: 'creating',
      internal,
      created: new Date().toISOString(),
      labels: request.labels ?? {},
      ...(config === undefined ? {} : { configFrom: config.record.id }),
      options,
    },
    ipam,
    ipamOptions: request.ipam?.options,
    pools: [],
    prefixes: [],
    names: new NameTable(request.name),
    endpointsByName: new Map(),
  }
  core.state.addNetwork(entry)
  rollback.defer('record network', () => {
    core.state.removeNetwork(entry)
  })

  await using choosing = new Rollback()
  await takeSubnets(core, entry, pools, { rollback, choosing }, call)
  driver.checkSubnets?.(entry.record)
  rollback.defer('keep network', () => core.records.discard({ networks: [entry] }))
  const { effects } = driver
  await core.records.keep({ networks: [entry] }, { ...call, phase: effects === undefined ? 'ready' : 'creating' })
  if (effects !== undefined) {
    // What another program makes takes as long as it takes: everybody on the host waits for the choice.
    await choosing[Symbol.asyncDispose]()
    await createNetworkElsewhere(core, entry, { effects, rollback }, call)
  }
  await core.executor.createNetwork(driver.planNetwork(entry.record), call)
  if (effects !== undefined) await core.records.keep({ networks: [entry] }, call)

  entry.record = { ...entry.record, phase: 'ready' }
  rollback.commit()
  core.hostNames?.add(entry.names)
  core.logger.info(
    { networkId: id, name: request.name, ipv4: entry.record.ipv4?.pool, ipv6: entry.record.ipv6?.pool },
    'network created',
  )
  return entry
}

/**
 * Unmakes a network with all that is on it: endpoints leave their sandboxes first. It can be given up until it begins:
 * half of a network is of use to nobody.
 */
export async function forceDeleteNetwork(core: Core, entry: NetworkEntry, call?: CallOptions): Promise<void> {
  using _lock = await core.locks.lock(entry.record.id, call)
  if (!core.state.networks.has(entry.record.id)) return
  refuseClaimed(core, entry)
  const { phase } = entry.record
  // Nobody comes onto it any more, gateway endpoints neither.
  entry.record = { ...entry.record, phase: 'deleting' }
  try {
    for (const id of [...entry.endpointsByName.values()]) {
      const endpoint = core.state.endpoints.get(id)
      if (endpoint !== undefined) await deleteEndpoint(core, endpoint, { force: true })
    }
  } catch (error) {
    entry.record = { ...entry.record, phase }
    throw error
  }
  await deleteLocked(core, entry, phase)
}

/** Unmakes a network that nobody is on. One that is gone already is no error. */
export async function deleteNetwork(core: Core, entry: NetworkEntry, call?: CallOptions): Promise<void> {
  using _lock = await core.locks.lock(entry.record.id, call)
  if (core.state.networks.has(entry.record.id)) await deleteLocked(core, entry, entry.record.phase)
}

/** As {@link deleteNetwork}, for whoever holds the lock. Where it is refused, the network is in `phase` again. */
async function deleteLocked(core: Core, entry: NetworkEntry, phase: Phase): Promise<void> {
  try {
    if (entry.endpointsByName.size > 0) {
      throw new ActiveEndpointsError(entry.record.name, [...entry.endpointsByName.keys()])
    }
    refuseClaimed(core, entry)
    refuseInUse(core, entry)
    // From here on nobody can come onto it.
    entry.record = { ...entry.record, phase: 'deleting' }
    await core.records.keep({ networks: [entry] }, { phase: 'deleting' })
  } catch (error) {
    // Of one that is half deleted already, nothing comes back.
    entry.record = { ...entry.record, phase }
    throw error
  }
  // Whatever fails now, asking again goes on where it stopped.
  await core.executor.deleteNetwork(core.drivers.get(entry.record.driver).planNetwork(entry.record))
  await deleteNetworkElsewhere(core, entry.record)
  // Nobody is on these subnets any more: from when their pools are let go, others may have them.
  entry.prefixes = []
  for (const subnet of subnetsOf(entry.record)) await releasePool(core, entry, subnet)
  await core.records.forget({ networks: [entry] })
  core.hostNames?.remove(entry.names)
  core.state.removeNetwork(entry)
  core.logger.info({ networkId: entry.record.id, name: entry.record.name }, 'network deleted')
}

/** Nobody can make those leave whose records cannot be read: their containers may live, and would lose the network. */
function refuseClaimed(core: Core, { record }: NetworkEntry): void {
  const claimants = core.state.claims.on(record.id)
  if (claimants.length > 0) throw new ActiveEndpointsError(record.name, claimants)
}

/** Lets a pool go; one that an earlier try let go already is no error. */
async function releasePool(core: Core, { record, ipam }: NetworkEntry, { poolId, pool }: Subnet): Promise<void> {
  try {
    await giveBack(core, { networkId: record.id, pool }, () => ipam.releasePool(poolId))
  } catch (error) {
    if (!isNetError(error, 'ERR_NO_SUCH_POOL')) throw error
  }
}
