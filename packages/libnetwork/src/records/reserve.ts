import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { IpamDriver } from '@net/ipamapi'
import type { PortLease } from '@net/portallocator'
import {
  cidrsOverlap,
  containsAddress,
  formatCidr,
  networkOf,
  parseAddress,
  parseCidr,
  withoutPrefixLength,
} from '@net/types'
import type { Core } from '../core.ts'
import { heldAddresses } from '../endpoint-operations.ts'
import type { NetworkEntry } from '../state.ts'
import { readClaim, type Claim, type ClaimedPool } from './claim.ts'
import type { Managers } from './managers.ts'
import type { Refusal } from './survey.ts'

/**
 * Keeps from others what records lay claim to that nothing can be done with: what they stand for may live. What cannot
 * be read of them is taken from the kernel, as far as that knows: the addresses in namespaces and of bridges of ours.
 */
export async function reserveRefused(core: Core, refused: readonly Refusal[], managers: Managers): Promise<void> {
  for (const { key, error } of refused) core.state.claims.refused.set(key, error)
  if (!refused.some(isOfHost)) return
  for (const { key } of refused) {
    await core.turns.take()
    const claim = readClaim(await core.records.readRefused(key))
    for (const pool of claim.pools)
      await reservePool(core, { ...pool, ipam: claim.ipam }, { by: `record ${key}`, managers })
    for (const address of claim.addresses) await reserveAddress(core, address, key)
    core.state.claims.addLeases(key, await takePorts(core, claim))
    addNames(core, key, claim)
  }
  try {
    await reserveFound(core, managers)
  } catch (error) {
    core.logger.warn({ err: error }, 'addresses of refused records could not be looked for in the kernel')
  }
}

/** Whether a record stands for something that the host has, and not for the controller itself. */
export function isOfHost({ key }: Refusal): boolean {
  return !key.startsWith('controllers/')
}

function addNames({ state: { claims } }: Core, key: string, { name, networkId, containerId }: Claim): void {
  if (key.startsWith('networks/') && name !== undefined) claims.addNetwork(key, name)
  if (key.startsWith('endpoints/') && networkId !== undefined) claims.addEndpoint(key, networkId, name ?? key)
  if (containerId !== undefined) claims.addContainer(key, containerId)
}

async function reservePool(
  core: Core,
  { family, pool, subPool, ipam: name = 'default' }: ClaimedPool & { readonly ipam?: string | undefined },
  { by, managers }: { readonly by: string; readonly managers: Managers },
): Promise<void> {
  const prefix = networkOf(parseCidr(pool))
  for (const network of core.state.networks.values()) {
    if (network.prefixes.some((one) => cidrsOverlap(one, prefix))) return
  }
  core.state.claims.addPrefix(prefix, by)
  const ipam = await managers.get(name).catch(() => managers.get('default'))
  if (!ipam.capabilities.requiresRequestReplay) return
  const request = { addressSpace: ipam.addressSpaces.local, family, pool: formatCidr(prefix), subPool }
  await unlessTaken(ipam.requestPool(request))
}

async function reserveAddress(core: Core, text: string, by: string): Promise<void> {
  const address = parseAddress(text)
  for (const { record, prefixes, ipam } of core.state.networks.values()) {
    if (!prefixes.some((prefix) => containsAddress(prefix, address))) continue
    core.state.claims.addAddress({ networkId: record.id, address: text, by })
    const subnet = address.family === 4 ? record.ipv4 : record.ipv6
    if (subnet !== undefined) await reserveIn(ipam, subnet.poolId, text)
  }
}

async function reserveIn(ipam: IpamDriver, poolId: string, address: string): Promise<void> {
  if (ipam.capabilities.requiresRequestReplay) await unlessTaken(ipam.requestAddress(poolId, { address }))
}

async function takePorts(core: Core, { ports }: Claim): Promise<PortLease[]> {
  const leases: PortLease[] = []
  for (const { protocol, hostAddress: address, hostPort: port, count } of ports) {
    const request = { protocol, address, port, count }
    const lease = await unlessTaken(core.ports.take(request).catch(() => core.ports.book(request)))
    if (lease !== undefined) leases.push(lease)
  }
  return leases
}

/** Pools of bridges of ours and addresses in our namespaces that nobody is known to have. */
async function reserveFound(core: Core, managers: Managers): Promise<void> {
  const keys = readdirSync(core.folder)
    .filter((name) => /^[0-9a-f]{12}$/.test(name))
    .map((name) => join(core.folder, name))
  const { host } = await core.executor.inspect({ networks: [], joins: [], keys })
  for (const { name, kind, addresses } of host.links) {
    if (kind !== 'bridge') continue
    for (const pool of addresses) {
      await reservePool(core, { family: pool.includes(':') ? 6 : 4, pool }, { by: `bridge ${name}`, managers })
    }
  }
  const known = knownAddresses(core)
  for (const { key, inside } of host.sandboxes) {
    await core.turns.take()
    for (const cidr of inside?.links.flatMap(({ addresses }) => addresses) ?? []) {
      const address = withoutPrefixLength(cidr)
      if (!known.has(address)) await reserveAddress(core, address, `namespace ${key}`)
    }
  }
}

/** Addresses that endpoints have, and those of refused records. */
function knownAddresses(core: Core): Set<string> {
  const networkOfId = (id: string): NetworkEntry => core.state.getNetwork(id)
  const held = Array.from(core.state.endpoints.values(), ({ record }) =>
    heldAddresses(networkOfId(record.networkId).record, record),
  )
  return new Set([...held.flat().map(({ address }) => address), ...core.state.claims.addresses()])
}

/** That somebody has it already is as good. */
async function unlessTaken<T>(taking: Promise<T>): Promise<T | undefined> {
  try {
    return await taking
  } catch {
    return undefined
  }
}
