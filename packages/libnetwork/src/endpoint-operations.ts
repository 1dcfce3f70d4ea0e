import type { EndpointRecord, NetworkRecord, Subnet } from '@net/driverapi'
import {
  isNetError,
  labels,
  macAddressOf,
  parseAddress,
  parseMacAddress,
  randomId,
  randomMacAddress,
  Rollback,
  withoutPrefixLength,
  type CallOptions,
} from '@net/types'
import type { Core } from './core.ts'
import { createEndpointElsewhere, deleteEndpointElsewhere } from './elsewhere.ts'
import { EndpointJoinedError, InvalidRequestError } from './errors.ts'
import { isGatewayEndpoint, settleGatewayAfter } from './gateway-network.ts'
import { leaveLocked } from './join-operations.ts'
import { linkLocalAddressesOf } from './link-local-addresses.ts'
import { routesOf } from './endpoint-routes.ts'
import { checkAddress } from './ipam-answers.ts'
import { giveBack } from './ipam-releases.ts'
import { releasePorts, takePorts } from './port-operations.ts'
import type { CreateEndpointRequest } from './requests.ts'
import { publicationKey, type EndpointEntry, type NetworkEntry } from './state.ts'
import { checkReady, checkSandbox } from './usable.ts'

/** Makes an endpoint: addresses, MAC address and host ports are taken; the kernel is not touched. */
export async function createEndpoint(
  core: Core,
  network: NetworkEntry,
  request: CreateEndpointRequest,
  call?: CallOptions,
): Promise<EndpointEntry> {
  const id = randomId()
  using _lock = await core.locks.lock(id, call)
  await using rollback = new Rollback()
  const entry = await prepareEndpoint(core, network, { ...request, id }, call)
  rollback.defer('create endpoint', () => discardEndpoint(core, entry))
  await core.records.keep({ endpoints: [entry] }, call)
  rollback.commit()
  return entry
}

/** As {@link createEndpoint}, for whoever holds the lock of its id, and records it together with something else. */
export async function prepareEndpoint(
  core: Core,
  network: NetworkEntry,
  request: CreateEndpointRequest & { readonly id: string },
  call?: CallOptions,
): Promise<EndpointEntry> {
  checkFamilies(network, request)
  const asked = macAddressAsked(request)
  // One that is made from the address would come too late for a manager that wants it first.
  const macAddress = asked ?? (network.ipam.capabilities.requiresMacAddress ? randomMacAddress() : undefined)
  const linkLocalAddresses = linkLocalAddressesOf(network, request)
  const routes = routesOf(network, request)
  checkReady(`network ${network.record.name}`, network)
  const driver = core.drivers.get(network.record.driver)
  const options = driver.checkEndpoint(network.record, {
    name: request.name,
    options: request.options ?? {},
    publishes: (request.ports ?? []).length > 0,
    findEndpoint: (id) => findOn(core, network, id),
  })

  const isWithoutIpv6 = driver.isWithoutIpv6?.(options) ?? false
  if (isWithoutIpv6 && request.address6 !== undefined) {
    const problem = `expected none where the settings of the interface put IPv6 off, got ${request.address6}`
    throw new InvalidRequestError('endpoint', 'address6', problem)
  }

  await using rollback = new Rollback()
  const entry: EndpointEntry = {
    record: {
      id: request.id,
      networkId: network.record.id,
      name: request.name,
      phase: 'creating',
      macAddress: macAddress ?? '',
      ...(linkLocalAddresses.length === 0 ? {} : { linkLocalAddresses }),
      aliases: request.aliases ?? [],
      ports: [],
      exposed: request.exposed ?? [],
      ...(routes.length === 0 ? {} : { routes }),
      options,
    },
    ipamOptions: request.ipamOptions,
    ports: new Map(),
    gatewayFor: [],
  }
  core.state.addEndpoint(entry)
  rollback.defer('record endpoint', () => {
    core.state.removeEndpoint(entry)
  })

  const address = await takeAddress(network, network.record.ipv4, request.address, entry, rollback, call)
  const { ipv6 } = isWithoutIpv6 ? { ipv6: undefined } : network.record
  const address6 = await takeAddress(network, ipv6, request.address6, entry, rollback, call)
  const { effects } = driver
  // A driver that makes the link chooses, or has it keep the one that it has.
  const ownMacAddress = effects === undefined ? macAddressFor(address) : ''
  entry.record = { ...entry.record, address, address6, macAddress: macAddress ?? ownMacAddress }
  if (effects !== undefined) await createEndpointElsewhere(core, entry, { effects, rollback }, call)
  for (const publication of await takePorts(core, entry, request.ports ?? [], rollback, call)) {
    entry.ports.set(publicationKey(publication.port), publication)
  }

  entry.record = { ...entry.record, phase: 'ready' }
  rollback.commit()
  core.logger.debug({ endpointId: entry.record.id, address, address6 }, 'endpoint created')
  return entry
}

/** Unmakes an endpoint; `force` makes it leave its sandbox first. One that is gone already is no error. */
export async function deleteEndpoint(
  core: Core,
  entry: EndpointEntry,
  options: { readonly force: boolean },
  call?: CallOptions,
): Promise<void> {
  for (;;) {
    const { sandboxId } = entry.record
    // A sandbox' lock comes before those of its endpoints.
    using _sandboxLock = sandboxId === undefined ? undefined : await core.locks.lock(sandboxId, call)
    using _endpointLock = await core.locks.lock(entry.record.id, call)
    if (!core.state.endpoints.has(entry.record.id)) return
    // Who joined or left while these were waited for is in another's hands.
    if (entry.record.sandboxId !== sandboxId) continue
    await deleteLocked(core, entry, options)
    return
  }
}

/** As {@link deleteEndpoint}, for whoever holds its lock and that of the sandbox that it is in. */
async function deleteLocked(core: Core, entry: EndpointEntry, { force }: { readonly force: boolean }): Promise<void> {
  const { sandboxId, name, networkId } = entry.record
  if (sandboxId === undefined) return forgetEndpoint(core, entry)
  const sandbox = core.state.getSandbox(sandboxId)
  if (!force) throw new EndpointJoinedError(name, sandbox.record.containerId)
  checkSandbox(core, sandbox)
  await leaveLocked(core, entry, { forGood: true })
  await forgetEndpoint(core, entry)
  // It goes with its network, and no sandbox is to get it back while that does.
  const { phase } = core.state.getNetwork(networkId).record
  if (phase !== 'deleting' || !isGatewayEndpoint(entry, sandbox)) await settleGatewayAfter(core, sandbox)
}

/**
 * Undoes {@link prepareEndpoint} as far as that goes, for whoever holds the lock of an endpoint that is in no sandbox:
 * every step is tried. What a store that takes no writes still has of it goes with the next write.
 */
export async function discardEndpoint(core: Core, entry: EndpointEntry): Promise<void> {
  const network = core.state.getNetwork(entry.record.networkId)
  await using steps = new Rollback()
  steps.defer('record', () => core.records.discard({ endpoints: [entry] }))
  steps.defer('name', () => {
    core.state.removeEndpoint(entry)
  })
  for (const { poolId, address } of heldAddresses(network.record, entry.record)) {
    steps.defer(`address ${address}`, () =>
      giveBack(core, { endpointId: entry.record.id, address }, () => network.ipam.releaseAddress(poolId, address)),
    )
  }
  steps.defer('driver', () => deleteEndpointElsewhere(core, network.record, entry.record))
  steps.defer('ports', () => releasePorts(core, entry))
}

/** The addresses that an endpoint has of its network's pools. */
export function heldAddresses(
  { ipv4, ipv6 }: Pick<NetworkRecord, 'ipv4' | 'ipv6'>,
  { address, address6 }: Pick<EndpointRecord, 'address' | 'address6'>,
): { readonly poolId: string; readonly address: string }[] {
  return [[address, ipv4] as const, [address6, ipv6] as const].flatMap(([cidr, subnet]) =>
    cidr === undefined || subnet === undefined ? [] : { poolId: subnet.poolId, address: withoutPrefixLength(cidr) },
  )
}

/** Whether nothing but its record says what an endpoint holds: then the record can go first. */
export function isHeldByRecord(core: Core, { record }: EndpointEntry): boolean {
  const { ipam, record: network } = core.state.getNetwork(record.networkId)
  return ipam.capabilities.requiresRequestReplay && core.drivers.get(network.driver).effects === undefined
}

/** Forgets an endpoint, and lets go what it holds. Its traffic must have ended. */
export async function forgetEndpoint(core: Core, entry: EndpointEntry): Promise<void> {
  if (isHeldByRecord(core, entry)) await core.records.forget({ endpoints: [entry] })
  await letEndpointGo(core, entry)
}

/** As {@link forgetEndpoint}, for one whose record is gone where it {@link isHeldByRecord}. */
export async function letEndpointGo(core: Core, entry: EndpointEntry): Promise<void> {
  const { record } = entry
  const network = core.state.getNetwork(record.networkId)
  // A manager or a driver that remembers by itself: were the record gone first, nobody would know what it holds.
  const isRecorded = !isHeldByRecord(core, entry)
  if (isRecorded) await core.records.keep({ endpoints: [entry] }, { phase: 'deleting' })
  entry.record = { ...record, phase: 'deleting' }
  await releasePorts(core, entry)
  if (isRecorded) await deleteEndpointElsewhere(core, network.record, record)
  for (const member of ['address', 'address6'] as const) await releaseAddress(core, network, entry, member)
  if (isRecorded) await core.records.forget({ endpoints: [entry] })
  core.state.removeEndpoint(entry)
  core.logger.debug({ endpointId: record.id }, 'endpoint deleted')
}

/** Lets an address go, once: when the endpoint is deleted again, it may be another's. */
async function releaseAddress(
  core: Core,
  network: NetworkEntry,
  entry: EndpointEntry,
  member: 'address' | 'address6',
): Promise<void> {
  const { [member]: _, ...without } = entry.record
  for (const { poolId, address } of heldAddresses(network.record, { [member]: entry.record[member] })) {
    try {
      await giveBack(core, { endpointId: entry.record.id, address }, () => network.ipam.releaseAddress(poolId, address))
    } catch (error) {
      if (mayBeDone(error)) entry.record = without
      throw error
    }
  }
  entry.record = without
}

/** Whether what was asked for may have been done, though no answer that makes sense said so. */
function mayBeDone(error: unknown): boolean {
  return isNetError(error) && 'outcome' in error && error.outcome === 'unknown'
}

/** Another endpoint of the network. */
function findOn(core: Core, network: NetworkEntry, id: string): EndpointRecord | undefined {
  const found = core.state.endpoints.get(id)?.record
  return found?.networkId === network.record.id ? found : undefined
}

function checkFamilies(network: NetworkEntry, request: CreateEndpointRequest): void {
  for (const [member, address, family, subnet] of [
    ['address', request.address, 4, network.record.ipv4],
    ['address6', request.address6, 6, network.record.ipv6],
  ] as const) {
    if (address === undefined) continue
    if (parseAddress(address).family !== family) {
      throw new InvalidRequestError(
        'endpoint',
        member,
        `expected an IPv${family} address, got ${JSON.stringify(address)}`,
      )
    }
    if (subnet === undefined) {
      throw new InvalidRequestError(
        'endpoint',
        member,
        `network ${network.record.name} has no IPv${family}, got ${address}`,
      )
    }
  }
}

/** The MAC address asked for, as a member or under libnetwork's label. */
function macAddressAsked({ macAddress, options = {} }: CreateEndpointRequest): string | undefined {
  const labelled = options[labels.macAddress]
  if (labelled !== undefined && typeof labelled !== 'string') {
    throw new InvalidRequestError('endpoint', labels.macAddress, `expected a MAC address, got ${typeof labelled}`)
  }
  const [one, other] = [macAddress, labelled].filter((text) => text !== undefined).map(parseMacAddress)
  if (one !== undefined && other !== undefined && other !== one) {
    throw new InvalidRequestError('endpoint', labels.macAddress, `expected ${one} as in macAddress, got ${other}`)
  }
  return one
}

async function takeAddress(
  network: NetworkEntry,
  subnet: Subnet | undefined,
  wanted: string | undefined,
  entry: EndpointEntry,
  rollback: Rollback,
  call: CallOptions | undefined,
): Promise<string | undefined> {
  if (subnet === undefined) return undefined
  const { poolId, pool } = subnet
  // IPv6 has addresses enough to let those rest that were let go: ending the flows of one takes the kernel a while.
  const macAddress = network.ipam.capabilities.requiresMacAddress ? entry.record.macAddress : undefined
  const { record, ipamOptions: options } = entry
  const request = { address: wanted, serial: pool.includes(':'), owner: record.id, macAddress, options }
  const { address } = await network.ipam.requestAddress(poolId, request, call)
  rollback.defer(`take address ${address}`, () => network.ipam.releaseAddress(poolId, withoutPrefixLength(address)))
  checkAddress(network.ipam, pool, address)
  return address
}

function macAddressFor(address: EndpointRecord['address']): string {
  return address === undefined ? randomMacAddress() : macAddressOf(parseAddress(withoutPrefixLength(address)))
}
