import type { DriverRegistry, FirewallFact } from '@net/driverapi'
import { shortId, type Turns } from '@net/types'
import { RecordBook } from './record-book.ts'
import type { StoredState } from './records.ts'
import { readEndpoint, readNetwork } from './remembered.ts'
import type { StoredEndpoint, StoredNetwork, StoredSandbox } from './stored-forms.ts'
import { factsOfRefused } from './surviving.ts'

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
  /** The packet rules of all that is to be as it was, those of refused records among them. */
  readonly facts: readonly FirewallFact[]
  /** By key: as far as they can be told. */
  readonly refusedFacts: ReadonlyMap<string, readonly FirewallFact[]>
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

/**
 * Compares what the store says with the host: which sandboxes live, and what with them. Changes nothing. Of records that
 * lay claim to one thing, the later one is refused; who is in a sandbox comes first.
 */
export async function survey(stored: StoredState, deps: SurveyDeps): Promise<Survey> {
  const refused = [...stored.refused]
  const tried: Tried = async (key, work) => {
    await deps.turns.take()
    try {
      return await work()
    } catch (error) {
      refused.push({ key, error: error instanceof Error ? error : new Error(String(error)) })
      return undefined
    }
  }
  const book = new RecordBook()
  const facts: FirewallFact[] = []
  const networks = await surveyNetworks(stored.networks, { tried, book, facts, drivers: deps.drivers })
  const recorded = new Set([
    ...stored.networks.map(({ record }) => `networks/${record.id}`),
    ...stored.sandboxes.map(({ record }) => `sandboxes/${record.id}`),
    ...stored.refused.map(({ key }) => key),
  ])
  const isRecorded = (key: string): boolean => recorded.has(key)
  const sandboxes = await surveySandboxes(stored.sandboxes, { ...deps, tried, book })
  const networkOf = new Map(networks.living.map(({ record }) => [record.id, record]))
  const sandboxOf = new Map(sandboxes.living.map(({ record }) => [record.id, record]))
  const goneIds = idsOf(sandboxes.gone)
  const isGone = ({ record: { phase, networkId, sandboxId } }: StoredEndpoint): boolean => {
    // One whose sandbox has no record at all was being deleted with it.
    const isSandboxGone = sandboxId !== undefined && (goneIds.has(sandboxId) || !isRecorded(`sandboxes/${sandboxId}`))
    return phase !== 'ready' || isSandboxGone || !isRecorded(`networks/${networkId}`)
  }
  const known = new Map<string, StoredEndpoint>()
  for (const endpoint of joinedFirst(stored.endpoints.filter((one) => !isGone(one)))) {
    const { id, networkId, sandboxId } = endpoint.record
    await tried(`endpoints/${id}`, async () => {
      const network = networkOf.get(networkId)
      const sandbox = sandboxOf.get(sandboxId ?? '')
      const isSandboxKnown = sandboxId === undefined || sandbox !== undefined
      if (network === undefined || !isSandboxKnown) throw new Error('its network or its sandbox cannot be read')
      const driver = deps.drivers.get(network.driver)
      const read = readEndpoint(endpoint, driver)
      const plan = sandbox === undefined ? undefined : driver.planEndpoint(network, read.record, sandbox)
      const wanted = sandbox?.namespace === 'awaited' ? [] : (plan?.firewall ?? [])
      await book.addEndpoint(read, network, wanted)
      facts.push(...wanted)
      known.set(id, read)
    })
  }
  const refusedFacts = await factsOfRefused(stored, { refused, networkOf, sandboxOf, book, ...deps })
  for (const all of refusedFacts.values()) facts.push(...all)
  return {
    isEmpty: [stored.networks, stored.endpoints, stored.sandboxes, stored.refused].every((all) => all.length === 0),
    networks: networks.living,
    endpoints: stored.endpoints.flatMap(({ record }) => known.get(record.id) ?? []),
    sandboxes: sandboxes.living,
    ...{ facts, refused, refusedFacts },
    gone: { networks: networks.gone, endpoints: stored.endpoints.filter(isGone), sandboxes: sandboxes.gone },
  }
}

/** Does something with a record, which is refused where that fails. */
type Tried = <T>(key: string, work: () => T | Promise<T>) => Promise<T | undefined>

/** In their order, but those that are in sandboxes before the others. */
function joinedFirst(endpoints: readonly StoredEndpoint[]): StoredEndpoint[] {
  const isJoined = ({ record }: StoredEndpoint): boolean => record.sandboxId !== undefined
  return [...endpoints.filter(isJoined), ...endpoints.filter((one) => !isJoined(one))]
}

async function surveyNetworks(
  stored: readonly StoredNetwork[],
  {
    tried,
    book,
    facts,
    drivers,
  }: {
    readonly tried: Tried
    readonly book: RecordBook
    readonly facts: FirewallFact[]
    readonly drivers: DriverRegistry
  },
): Promise<{ living: StoredNetwork[]; gone: StoredNetwork[] }> {
  const found = { living: [] as StoredNetwork[], gone: [] as StoredNetwork[] }
  for (const network of stored) {
    await tried(`networks/${network.record.id}`, () => {
      const read = readNetwork(network, drivers)
      if (read.record.phase !== 'ready') {
        found.gone.push(read)
        return
      }
      const { firewall } = drivers.get(read.record.driver).planNetwork(read.record)
      book.addNetwork(read, firewall)
      facts.push(...firewall)
      found.living.push(read)
    })
  }
  return found
}

async function surveySandboxes(
  stored: readonly StoredSandbox[],
  { isSandbox, controllerId, tried, book }: SurveyDeps & { readonly tried: Tried; readonly book: RecordBook },
): Promise<{ living: StoredSandbox[]; gone: StoredSandbox[] }> {
  const found = { living: [] as StoredSandbox[], gone: [] as StoredSandbox[] }
  for (const sandbox of stored) {
    const { record } = sandbox
    await tried(`sandboxes/${record.id}`, () => {
      // What is done there is done as root: unmounting, deleting folders.
      if (!record.key.endsWith(`/${controllerId}/${shortId(record.id)}`))
        throw new Error(`${record.key} is no path of ours`)
      if (record.phase !== 'ready' || (record.namespace !== 'awaited' && !isSandbox(record.key))) {
        found.gone.push(sandbox)
        return
      }
      book.addSandbox(sandbox)
      found.living.push(sandbox)
    })
  }
  return found
}

function idsOf(stored: readonly { readonly record: { readonly id: string } }[]): Set<string> {
  return new Set(stored.map(({ record }) => record.id))
}
