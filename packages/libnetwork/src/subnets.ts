import type { NetworkRecord, Subnet } from '@net/driverapi'
import { InvalidPoolError, PoolOverlapError, type IpamDriver, type PoolRequest } from '@net/ipamapi'
import {
  cidrsOverlap,
  formatCidr,
  labels,
  parseAddress,
  parseCidr,
  type AddressFamily,
  type CallOptions,
  type Cidr,
  type Rollback,
} from '@net/types'
import type { Core } from './core.ts'
import { InvalidRequestError } from './errors.ts'
import { lockHost } from './host-lock.ts'
import { hostPrefixes } from './host-prefixes.ts'
import { checkSubnet, isUnusable } from './ipam-answers.ts'
import type { CreateNetworkRequest, PoolConfig } from './requests.ts'
import type { NetworkEntry, State } from './state.ts'

/** The families that a network has, each with its pool as far as it was given. */
export function poolsOf(request: CreateNetworkRequest): Map<AddressFamily, PoolConfig | undefined> {
  const { ipv4 = true, ipv6 = !ipv4 } = request
  const pools = new Map<AddressFamily, PoolConfig | undefined>()
  if (ipv4) pools.set(4, undefined)
  if (ipv6) pools.set(6, undefined)
  for (const config of request.ipam?.pools ?? []) {
    const pool = parseCidr(config.pool)
    const { family } = pool.address
    if (isUnusable(pool)) throw new InvalidPoolError(config.pool, 'addresses that interfaces can have')
    if (config.gateway !== undefined) parseAddress(config.gateway)
    for (const address of Object.values(config.auxAddresses ?? {})) parseAddress(address)
    if (pools.get(family) !== undefined) throw refusal(`expected at most one pool a family, got ${config.pool} too`)
    if ((family === 4 ? ipv4 : request.ipv6) === false) {
      throw refusal(`expected no IPv${family} pool with ipv${family}: false, got ${config.pool}`)
    }
    pools.set(family, config)
  }
  if (pools.size === 0) throw new InvalidRequestError('network', 'ipv4', 'expected one family at least, got none')
  return pools
}

function refusal(problem: string): InvalidRequestError {
  return new InvalidRequestError('network', 'ipam.pools', problem)
}

/**
 * Takes the subnets of a network. Until `choosing` is disposed, with the network's bridge in its place or a plugin asked
 * to make one, no controller of this host chooses another; a manager that is not ours has chosen before that.
 */
export async function takeSubnets(
  core: Core,
  entry: NetworkEntry,
  pools: ReadonlyMap<AddressFamily, PoolConfig | undefined>,
  { rollback, choosing }: { readonly rollback: Rollback; readonly choosing: Rollback },
  call?: CallOptions,
): Promise<void> {
  const { ipam } = entry
  if (ipam.capabilities.hasNoAddresses === true) {
    checkAddressless(core, entry, pools)
    return
  }
  const isChosen = [...pools.values()].includes(undefined)
  // Others take as long as they take, and everybody on the host waits for the choice.
  const isOwn = core.ipam.isOwn(ipam)
  if (isChosen && isOwn) await holdChoice(core, choosing, call)
  const exclude = isChosen ? await hostPrefixes(core, call) : []
  for (const [family, config] of pools) {
    const request = {
      ...{ addressSpace: ipam.addressSpaces.local, family, options: entry.ipamOptions },
      ...{ pool: config?.pool, subPool: config?.subPool },
    }
    const wanted = config === undefined ? { ...request, exclude } : request
    const subnet = await takeSubnet(ipam, wanted, config?.gateway, rollback, call)
    // They go with the pool.
    for (const address of Object.values(config?.auxAddresses ?? {})) {
      await ipam.requestAddress(subnet.poolId, { address }, call)
    }
    entry.pools = [...entry.pools, { family, subPool: config?.subPool, auxAddresses: config?.auxAddresses }]
    entry.record = { ...entry.record, [family === 4 ? 'ipv4' : 'ipv6']: subnet }
  }
  const prefixes = subnetsOf(entry.record).map(({ pool }) => parseCidr(pool))
  if (isChosen && !isOwn) {
    await holdChoice(core, choosing, call)
    refuseHosts(prefixes, await hostPrefixes(core, call))
  }
  refuseOverlap(prefixes, core.state)
  entry.prefixes = prefixes
}

/** Refuses networks without subnets where nobody else gives their endpoints addresses. */
function checkAddressless(
  core: Core,
  { record, ipam }: NetworkEntry,
  pools: ReadonlyMap<AddressFamily, PoolConfig | undefined>,
): void {
  if (core.drivers.get(record.driver).effects === undefined) {
    const problem = `expected an address manager that has addresses, got ${JSON.stringify(ipam.name)}`
    throw new InvalidRequestError('network', 'ipam.driver', problem)
  }
  const given = [...pools.values()].find((config) => config !== undefined)
  if (given !== undefined) throw refusal(`expected none of an address manager without addresses, got ${given.pool}`)
}

/** Here first, so that many networks made at once do not ask the host over and over. */
async function holdChoice(core: Core, choosing: Rollback, call?: CallOptions): Promise<void> {
  for (const lock of [() => core.locks.lock('pools', call), () => lockHost('pools', call)]) {
    const held = await lock()
    choosing.defer('hold the choice of pools', () => {
      held[Symbol.dispose]()
    })
  }
}

/** Takes a pool and, unless the manager chose one with it, the host's address in it. */
async function takeSubnet(
  ipam: IpamDriver,
  request: PoolRequest & { readonly family: AddressFamily },
  gateway: string | undefined,
  rollback: Rollback,
  call: CallOptions | undefined,
): Promise<Subnet> {
  const { id, pool, data } = await ipam.requestPool(request, call)
  rollback.defer(`take pool ${pool}`, () => ipam.releasePool(id))
  const chosen = gateway === undefined ? data[labels.gateway] : undefined
  const subnet = {
    poolId: id,
    pool,
    gateway: chosen ?? (await ipam.requestAddress(id, { address: gateway, purpose: 'gateway' }, call)).address,
  }
  checkSubnet(ipam, request.family, subnet)
  return subnet
}

/** Refuses subnets that the host came to have while their manager chose them. @throws `ERR_POOL_OVERLAP` */
function refuseHosts(prefixes: readonly Cidr[], hosts: readonly string[]): void {
  for (const prefix of prefixes) {
    const taken = hosts.find((host) => cidrsOverlap(parseCidr(host), prefix))
    if (taken !== undefined) throw new PoolOverlapError(formatCidr(prefix), taken, 'the host')
  }
}

/**
 * Refuses subnets that the host has on another network already: packets would go to one of the two. Address
 * managers let networks share a pool by disjoint sub-pools, and each of several managers has pools of its own.
 *
 * @throws `ERR_POOL_OVERLAP`
 */
function refuseOverlap(prefixes: readonly Cidr[], { networks, claims }: State): void {
  for (const { record, prefixes: held } of networks.values()) {
    for (const prefix of prefixes) {
      const other = held.find((one) => cidrsOverlap(one, prefix))
      if (other === undefined) continue
      throw new PoolOverlapError(formatCidr(prefix), formatCidr(other), `network ${record.name}`)
    }
  }
  for (const prefix of prefixes) {
    const claimed = claims.findOverlap(prefix)
    if (claimed !== undefined) throw new PoolOverlapError(formatCidr(prefix), formatCidr(claimed.prefix), claimed.by)
  }
}

/** The subnets that a network has. */
export function subnetsOf({ ipv4, ipv6 }: NetworkRecord): Subnet[] {
  return [ipv4, ipv6].filter((subnet) => subnet !== undefined)
}
