import type { FirewallFact, NetworkRecord, SandboxRecord } from '@net/driverapi'
import { isNetError, shortId } from '@net/types'
import type { RecordBook } from './record-book.ts'
import type { StoredState } from './records.ts'
import { readEndpoint, readNetwork } from './remembered.ts'
import { survivingForms } from './stored-forms.ts'
import type { Refusal, SurveyDeps } from './survey.ts'

/** What is known beside the refused records. */
export interface Surroundings extends SurveyDeps {
  readonly refused: readonly Refusal[]
  readonly networkOf: ReadonlyMap<string, NetworkRecord>
  readonly sandboxOf: ReadonlyMap<string, SandboxRecord>
  readonly book: RecordBook
}

/**
 * The packet rules of what refused records stand for, by their keys, where nothing is damaged that these are made of and
 * nobody else has them: containers go on that live.
 */
export async function factsOfRefused(
  stored: StoredState,
  { refused, networkOf, sandboxOf, book, drivers, controllerId, isSandbox, turns }: Surroundings,
): Promise<Map<string, readonly FirewallFact[]>> {
  const facts = new Map<string, readonly FirewallFact[]>()
  const networks = new Map(networkOf)
  const sandboxes = new Map(sandboxOf)
  const valueOf = valuesOf(stored)
  const each = async (prefix: string, work: (id: string, value: unknown) => readonly FirewallFact[]): Promise<void> => {
    for (const { key, error } of refused) {
      if (!key.startsWith(prefix) || isNetError(error, 'ERR_RECORD_CONFLICT')) continue
      await turns.take()
      try {
        const found = work(key.slice(prefix.length), valueOf.get(key))
        book.addFacts(found)
        if (found.length > 0) facts.set(key, found)
      } catch {
        // Nothing can be told of it: that it is refused is told already.
      }
    }
  }
  await each('networks/', (id, value) => {
    const { record } = readNetwork(survivingForms.network.parse(value), drivers)
    checkSurvivor(record, id)
    const { firewall } = drivers.get(record.driver).planNetwork(record)
    networks.set(id, record)
    return firewall
  })
  await each('sandboxes/', (id, value) => {
    const { record } = survivingForms.sandbox.parse(value)
    checkSurvivor(record, id)
    const isOurs = record.key.endsWith(`/${controllerId}/${shortId(id)}`)
    if (isOurs && isSandbox(record.key)) sandboxes.set(id, record)
    return []
  })
  await each('endpoints/', (id, value) => {
    const parsed = survivingForms.endpoint.parse(value)
    const { networkId, sandboxId = '' } = parsed.record
    const [network, sandbox] = [networks.get(networkId), sandboxes.get(sandboxId)]
    if (network === undefined || sandbox === undefined || sandbox.namespace === 'awaited') return []
    const driver = drivers.get(network.driver)
    const { record } = readEndpoint(parsed, driver)
    checkSurvivor(record, id)
    return driver.planEndpoint(network, record, sandbox).firewall
  })
  return facts
}

function checkSurvivor({ id, phase }: { readonly id: string; readonly phase: string }, expected: string): void {
  if (id !== expected) throw new RangeError(`expected id ${expected}, got ${id}`)
  if (phase !== 'ready') throw new RangeError(`expected what is ready, got what is ${phase}`)
}

function valuesOf({ networks, endpoints, sandboxes, refused }: StoredState): Map<string, unknown> {
  return new Map<string, unknown>([
    ...networks.map((stored) => [`networks/${stored.record.id}`, stored] as const),
    ...endpoints.map((stored) => [`endpoints/${stored.record.id}`, stored] as const),
    ...sandboxes.map((stored) => [`sandboxes/${stored.record.id}`, stored] as const),
    ...refused.map(({ key, value }) => [key, value] as const),
  ])
}
