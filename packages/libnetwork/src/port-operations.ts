import type { PublishedPort } from '@net/driverapi'
import { formatAddress, formatPorts, parseAddress, Rollback, type CallOptions } from '@net/types'
import type { Core } from './core.ts'
import { isInPlace } from './gateways.ts'
import { FamilyMismatchError, PortNotPublishedError } from './errors.ts'
import { countOf, hostPortsOf, type PortRequest } from './port-request.ts'
import { parsePorts } from './requests.ts'
import { publicationKey, recordOf, type EndpointEntry, type HeldPublication } from './state.ts'
import { checkEndpoint } from './usable.ts'

/** Ports let go one by one between two looks at the clock. */
const STRIDE = 16

/** Takes host ports for an endpoint; `rollback` lets them go again. */
export async function takePorts(
  core: Core,
  entry: EndpointEntry,
  requests: readonly PortRequest[],
  rollback: Rollback,
  call?: CallOptions,
): Promise<HeldPublication[]> {
  const leases = await core.ports.takeAll(
    requests.map((request) => ({
      protocol: request.protocol ?? 'tcp',
      address: hostAddressOf(core, entry, request),
      ...hostPortsOf(request),
    })),
    call,
  )
  const taken = requests.flatMap(({ containerPort }, at): HeldPublication[] => {
    const lease = leases[at]
    if (lease === undefined) return []
    const { protocol, address: hostAddress, port: hostPort, count } = lease
    const port = { protocol, containerPort, hostAddress, hostPort }
    return [{ lease, port: count === 1 ? port : { ...port, count } }]
  })
  rollback.defer('take host ports', () => release(core, taken))
  return taken
}

/** Publishes ports of an endpoint, all or none, and says which host ports they got. */
export async function publish(
  core: Core,
  entry: EndpointEntry,
  unchecked: readonly PortRequest[],
  call?: CallOptions,
): Promise<readonly PublishedPort[]> {
  const requests = parsePorts(unchecked)
  const network = core.state.getNetwork(entry.record.networkId)
  const driver = core.drivers.get(network.record.driver)
  // The driver has a say, as when the endpoint was made.
  driver.checkEndpoint(network.record, { name: entry.record.name, options: {}, publishes: requests.length > 0 })
  using _lock = await core.locks.lock(entry.record.id, call)
  checkEndpoint(core, entry)

  await using rollback = new Rollback()
  const taken = await takePorts(core, entry, requests, rollback, call)
  const ports = taken.map(({ port }) => port)
  rollback.defer('record ports', async () => {
    for (const port of ports) entry.ports.delete(publicationKey(port))
    await core.records.keep({ endpoints: [entry] })
  })
  for (const publication of taken) entry.ports.set(publicationKey(publication.port), publication)
  await core.records.keep({ endpoints: [entry] }, call)
  if (isInPlace(core, entry)) {
    const facts = driver.planPorts(network.record, entry.record, ports)
    await core.executor.changeFirewall({ add: facts }, call)
    rollback.defer('publish ports', () => core.executor.changeFirewall({ remove: facts }))
    await core.loopback?.add(facts, call)
  }
  rollback.commit()

  core.logger.info({ endpointId: entry.record.id, ports }, 'ports published')
  return ports
}

/** Takes ports back, all or none. A request without host port means every publication of the container port. */
export async function unpublish(
  core: Core,
  entry: EndpointEntry,
  unchecked: readonly PortRequest[],
  call?: CallOptions,
): Promise<void> {
  const requests = parsePorts(unchecked)
  using _lock = await core.locks.lock(entry.record.id, call)
  checkEndpoint(core, entry)

  const found = new Set(requests.flatMap((request) => findPublications(core, entry, request)))
  await using rollback = new Rollback()
  rollback.defer('record ports', async () => {
    for (const publication of found) entry.ports.set(publicationKey(publication.port), publication)
    await core.records.keep({ endpoints: [entry] })
  })
  for (const { port } of found) entry.ports.delete(publicationKey(port))
  await core.records.keep({ endpoints: [entry] }, call)
  if (isInPlace(core, entry)) {
    const network = core.state.getNetwork(entry.record.networkId)
    const ports = Array.from(found, ({ port }) => port)
    const facts = core.drivers.get(network.record.driver).planPorts(network.record, entry.record, ports)
    await core.executor.changeFirewall({ remove: facts }, call)
    await core.loopback?.remove(facts)
  }
  rollback.commit()
  await release(core, [...found])
  core.logger.info({ endpointId: entry.record.id, ports: found.size }, 'ports taken back')
}

/** Lets all ports of an endpoint go. Their rules must be gone. */
export async function releasePorts(core: Core, entry: EndpointEntry): Promise<void> {
  const publications = [...entry.ports.values()]
  entry.ports.clear()
  await release(core, publications)
}

async function release(core: Core, publications: readonly HeldPublication[]): Promise<void> {
  for (const [at, { lease }] of publications.entries()) {
    if (at % STRIDE === STRIDE - 1) await core.turns.take()
    await lease.release()
  }
}

function findPublications(core: Core, entry: EndpointEntry, request: PortRequest): HeldPublication[] {
  const { protocol = 'tcp', hostPort, containerPort } = request
  const hostAddress =
    request.hostAddress === undefined && hostPort === undefined ? undefined : hostAddressOf(core, entry, request)
  const candidates =
    hostPort === undefined
      ? [...entry.ports.values()]
      : [entry.ports.get(publicationKey({ protocol, hostAddress, hostPort }))].filter((one) => one !== undefined)
  const found = candidates.filter(
    ({ port }) =>
      port.protocol === protocol &&
      port.containerPort === containerPort &&
      (port.count ?? 1) === countOf(request) &&
      (hostAddress === undefined || port.hostAddress === hostAddress),
  )
  if (found.length > 0) return found
  const wanted = `${protocol}/${formatPorts(containerPort, countOf(request))}${hostPort === undefined ? '' : ` on host port ${hostPort}`}`
  throw new PortNotPublishedError(wanted, recordOf(entry).name)
}

/** The address asked for, or what the network has for those who ask for none. */
function hostAddressOf(core: Core, entry: EndpointEntry, request: PortRequest): string | undefined {
  const network = core.state.getNetwork(entry.record.networkId).record
  const hostAddress = request.hostAddress ?? core.drivers.get(network.driver).hostAddressOf?.(network)
  if (hostAddress === undefined) return undefined
  const address = parseAddress(hostAddress)
  const own = address.family === 4 ? entry.record.address : entry.record.address6
  if (own === undefined) throw new FamilyMismatchError(hostAddress, entry.record.name)
  return formatAddress(address)
}
