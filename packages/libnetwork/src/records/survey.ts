import type { DriverRegistry, FirewallFact } from '@net/driverapi'
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
  /** Keys of records that nothing can be done with here, and why. They stay as they are. */
  readonly refused: readonly { readonly key: string; readonly error: Error }[]
}

/** What is needed to judge records. */
export interface SurveyDeps {
  readonly drivers: DriverRegistry
  /** Whether the namespace of a sandbox is there. */
  readonly isSandbox: (key: string) => boolean
}

/** Compares what the store says with the host: which sandboxes live, and what with them. Changes nothing. */
export function survey(stored: StoredState, { drivers, isSandbox }: SurveyDeps): Survey {
  const refused = [...stored.refused]
  const known = stored.networks.filter(({ record }) => {
    const error = errorOf(() => drivers.get(record.driver))
    if (error !== undefined) refused.push({ key: `networks/${record.id}`, error })
    return error === undefined
  })
  const networks = known.filter(({ record }) => record.phase !== 'deleting')
  const sandboxes = stored.sandboxes.filter(
    ({ record }) => record.phase === 'ready' && (record.namespace === 'awaited' || isSandbox(record.key)),
  )
  const networkIds = idsOf(networks)
  const sandboxIds = idsOf(sandboxes)
  const goneSandboxes = stored.sandboxes.filter(({ record }) => !sandboxIds.has(record.id))
  const goneIds = idsOf(goneSandboxes)
  const endpoints: StoredEndpoint[] = []
  const goneEndpoints: StoredEndpoint[] = []
  for (const endpoint of stored.endpoints) {
    const { phase, networkId, sandboxId, id } = endpoint.record
    if (phase !== 'ready' || (sandboxId !== undefined && goneIds.has(sandboxId))) goneEndpoints.push(endpoint)
    else if (networkIds.has(networkId) && (sandboxId === undefined || sandboxIds.has(sandboxId)))
      endpoints.push(endpoint)
    else refused.push({ key: `endpoints/${id}`, error: new Error('its network or its sandbox cannot be read') })
  }
  return {
    isEmpty: [stored.networks, stored.endpoints, stored.sandboxes, stored.refused].every((all) => all.length === 0),
    ...{ networks, endpoints, sandboxes, refused },
    gone: {
      networks: known.filter(({ record }) => record.phase === 'deleting'),
      endpoints: goneEndpoints,
      sandboxes: goneSandboxes,
    },
  }
}

/** The packet rules of all that is to be as it was. */
export function factsOf({ networks, endpoints, sandboxes }: Survey, drivers: DriverRegistry): FirewallFact[] {
  const networkOf = new Map(networks.map(({ record }) => [record.id, record]))
  const sandboxOf = new Map(sandboxes.map(({ record }) => [record.id, record]))
  return [
    ...networks.flatMap(({ record }) => drivers.get(record.driver).planNetwork(record).firewall),
    ...endpoints.flatMap(({ record }) => {
      const network = networkOf.get(record.networkId)
      const sandbox = sandboxOf.get(record.sandboxId ?? '')
      if (network === undefined || sandbox === undefined || sandbox.namespace === 'awaited') return []
      return drivers.get(network.driver).planEndpoint(network, record, sandbox).firewall
    }),
  ]
}

function idsOf(stored: readonly { readonly record: { readonly id: string } }[]): Set<string> {
  return new Set(stored.map(({ record }) => record.id))
}

function errorOf(work: () => unknown): Error | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
