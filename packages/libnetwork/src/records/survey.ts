import type { DriverRegistry, FirewallFact, NetworkDriver } from '@net/driverapi'
import { shortId, type Turns } from '@net/types'
import type { StoredState } from './records.ts'
import type { StoredEndpoint, StoredNetwork, StoredSandbox } from './stored-forms.ts'

/** What has become of what the store says, as the host stands. */
export interface Survey {
  /** There are no records at all. */
  readonly isEmpty: boolean
  /** What is to be as it was. */
  readonly networks: readonly StoredNetwork[]
  readonly endpoints: readonly StoredEndpoint[]
  readonly sandboxes: readonly StoredSandbox[]
  /** What was being deleted, or made with something that did not come about, or was in a namespace that is gone. */
  readonly gone: {
    readonly networks: readonly StoredNetwork[]
    readonly endpoints: readonly StoredEndpoint[]
    readonly sandboxes: readonly StoredSandbox[]
  }
  readonly refused: readonly Refusal[]
}

/** Key of a record that nothing can be done with here, and why. It stays as it is. */
export interface Refusal {
  readonly key: string
  readonly error: Error
}

/** What is needed to judge records. */
export interface SurveyDeps {
  readonly drivers: DriverRegistry
  /** Whether the namespace of a sandbox is there. */
  readonly isSandbox: (key: string) => boolean
  readonly controllerId: string
  readonly turns: Turns
}

/** Compares what the store says with the host: which sandboxes live, and what with them. Changes nothing. */
export async function survey(stored: StoredState, deps: SurveyDeps): Promise<Survey> {
  const refused = [...stored.refused]
  const tried = <T>(key: string, work: () => T): T[] => {
    try {
      return [work()]
    } catch (error) {
      refused.push({ key, error: error instanceof Error ? error : new Error(String(error)) })
      return []
    }
  }
  const known = stored.networks.flatMap((network) =>
    tried(`networks/${network.record.id}`, () => readNetwork(network, deps.drivers)),
  )
  const recorded = new Set([
    ...stored.networks.map(({ record }) => `networks/${record.id}`),
    ...stored.sandboxes.map(({ record }) => `sandboxes/${record.id}`),
    ...stored.refused.map(({ key }) => key),
  ])
  const isRecorded = (key: string): boolean => recorded.has(key)
  const networks = known.filter(({ record }) => record.phase === 'ready')
  const all = await surveySandboxes(stored.sandboxes, deps)
  refused.push(...all.refused)
  const networkOf = new Map(networks.map(({ record }) => [record.id, record]))
  const sandboxIds = idsOf(all.living)
  const goneIds = idsOf(all.gone)
  const endpoints: StoredEndpoint[] = []
  const goneEndpoints: StoredEndpoint[] = []
  for (const endpoint of stored.endpoints) {
    const { phase, networkId, sandboxId, id } = endpoint.record
    // One whose sandbox has no record at all was being deleted with it.
    const isSandboxGone = sandboxId !== undefined && (goneIds.has(sandboxId) || !isRecorded(`sandboxes/${sandboxId}`))
    if (phase !== 'ready' || isSandboxGone || !isRecorded(`networks/${networkId}`)) goneEndpoints.push(endpoint)
    else {
      endpoints.push(
        ...tried(`endpoints/${id}`, () => {
          const network = networkOf.get(networkId)
          const isSandboxKnown = sandboxId === undefined || sandboxIds.has(sandboxId)
          if (network === undefined || !isSandboxKnown) throw new Error('its network or its sandbox cannot be read')
          return readEndpoint(endpoint, deps.drivers.get(network.driver))
        }),
      )
    }
  }
  return {
    isEmpty: [stored.networks, stored.endpoints, stored.sandboxes, stored.refused].every((all) => all.length === 0),
    ...{ networks, endpoints, sandboxes: all.living, refused },
    gone: {
      networks: known.filter(({ record }) => record.phase !== 'ready'),
      endpoints: goneEndpoints,
      sandboxes: all.gone,
    },
  }
}

/** The network with what its driver remembers of it, which the store knows nothing of. */
function readNetwork(stored: StoredNetwork, drivers: DriverRegistry): StoredNetwork {
  const { record } = stored
  const driver = drivers.get(record.driver)
  if (driver.readNetworkOptions === undefined) return stored
  return { ...stored, record: { ...record, options: driver.readNetworkOptions(record.options) } }
}

/** As {@link readNetwork}. */
function readEndpoint(stored: StoredEndpoint, driver: NetworkDriver): StoredEndpoint {
  let { options, joined } = stored.record
  if (driver.readEndpointOptions !== undefined) options = driver.readEndpointOptions(options)
  if (driver.readJoined !== undefined && joined !== undefined) joined = driver.readJoined(joined)
  return { ...stored, record: { ...stored.record, options, joined } }
}

/** The packet rules of all that is to be as it was. */
export async function factsOf(
  { networks, endpoints, sandboxes }: Survey,
  { drivers, turns }: Pick<SurveyDeps, 'drivers' | 'turns'>,
): Promise<FirewallFact[]> {
  const networkOf = new Map(networks.map(({ record }) => [record.id, record]))
  const sandboxOf = new Map(sandboxes.map(({ record }) => [record.id, record]))
  const facts = networks.flatMap(({ record }) => drivers.get(record.driver).planNetwork(record).firewall)
  for (const { record } of endpoints) {
    const network = networkOf.get(record.networkId)
    const sandbox = sandboxOf.get(record.sandboxId ?? '')
    if (network === undefined || sandbox === undefined || sandbox.namespace === 'awaited') continue
    await turns.take()
    facts.push(...drivers.get(network.driver).planEndpoint(network, record, sandbox).firewall)
  }
  return facts
}

async function surveySandboxes(
  stored: readonly StoredSandbox[],
  { isSandbox, controllerId, turns }: SurveyDeps,
): Promise<{ living: StoredSandbox[]; gone: StoredSandbox[]; refused: Refusal[] }> {
  const found = { living: [] as StoredSandbox[], gone: [] as StoredSandbox[], refused: [] as Refusal[] }
  for (const sandbox of stored) {
    await turns.take()
    const { record } = sandbox
    const isThere = (): boolean => record.namespace === 'awaited' || isSandbox(record.key)
    // What is done there is done as root: unmounting, deleting folders.
    if (!record.key.endsWith(`/${controllerId}/${shortId(record.id)}`)) {
      found.refused.push({ key: `sandboxes/${record.id}`, error: new Error(`${record.key} is no path of ours`) })
    } else if (record.phase === 'ready' && isThere()) found.living.push(sandbox)
    else found.gone.push(sandbox)
  }
  return found
}

function idsOf(stored: readonly { readonly record: { readonly id: string } }[]): Set<string> {
  return new Set(stored.map(({ record }) => record.id))
}
