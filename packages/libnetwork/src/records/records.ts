import type { Phase } from '@net/driverapi'
import {
  Collection,
  compareKeys,
  LIMITS,
  type CollectionListing,
  type Store,
  type StoreOperation,
} from '@net/datastore'
import { isNetError, randomId, type CallOptions, type Logger, type Turns } from '@net/types'
import { recordOf, type EndpointEntry, type NetworkEntry, type SandboxEntry } from '../state.ts'
import { OwnRecord, readUnchecked } from './own-record.ts'
import {
  recordForms,
  type RecordForms,
  type StoredController,
  type StoredEndpoint,
  type StoredNetwork,
  type StoredSandbox,
} from './stored-forms.ts'

/** All that a store says of a controller. */
export interface StoredState {
  readonly networks: readonly StoredNetwork[]
  readonly endpoints: readonly StoredEndpoint[]
  readonly sandboxes: readonly StoredSandbox[]
  /** Keys of records that cannot be read, and why, and what they say before any schema. They are still there. */
  readonly refused: readonly { readonly key: string; readonly error: Error; readonly value?: unknown }[]
}

/** The records of a controller. Where there is no store, nothing is kept, and nothing costs anything. */
export class Records {
  readonly #store: Store | undefined
  readonly #own: OwnRecord | undefined
  readonly #networks: Collection<StoredNetwork> | undefined
  readonly #endpoints: Collection<StoredEndpoint> | undefined
  readonly #sandboxes: Collection<StoredSandbox> | undefined
  /** What is to be forgotten with the next write, by key. */
  readonly #owed = new Map<string, StoreOperation>()

  /** `store` is borrowed. */
  constructor(store: Store | undefined, logger: Logger, forms: RecordForms = recordForms) {
    this.#store = store
    if (store === undefined) return
    this.#own = new OwnRecord(store, forms.controllers, logger)
    this.#networks = new Collection(store, { ...forms.networks, logger, prefix: 'networks/' })
    this.#endpoints = new Collection(store, { ...forms.endpoints, logger, prefix: 'endpoints/' })
    this.#sandboxes = new Collection(store, { ...forms.sandboxes, logger, prefix: 'sandboxes/' })
  }

  /** The controller whose records these are, from when it is first asked for. @throws `ERR_CONTROLLER_RECORD`, `ERR_STORE_VERSION` */
  async controller(): Promise<StoredController> {
    return this.#own?.read() ?? { id: randomId(), forwarding: [] }
  }

  async keepController(controller: StoredController): Promise<void> {
    await this.#own?.keep(controller)
  }

  /** All records, as they are while nobody writes. One that cannot be read hides no other. */
  async load(turns: Turns): Promise<StoredState> {
    const networks = await readAll(this.#networks, turns)
    const endpoints = await readAll(this.#endpoints, turns)
    const sandboxes = await readAll(this.#sandboxes, turns)
    const refused = [
      ...(this.#own?.refused ?? []),
      ...networks.refused.map(({ id, error }) => ({ key: `networks/${id}`, error })),
      ...endpoints.refused.map(({ id, error }) => ({ key: `endpoints/${id}`, error })),
      ...sandboxes.refused.map(({ id, error }) => ({ key: `sandboxes/${id}`, error })),
    ]
    return {
      networks: networks.values,
      endpoints: endpoints.values,
      sandboxes: sandboxes.values,
      refused: await Promise.all(refused.map(async (one) => ({ ...one, value: await this.readRefused(one.key) }))),
    }
  }

  /**
   * Records what these are, all or none. Once it resolves, it outlives the process. They are recorded as `ready` before
   * they are: whoever opens the store after this process died makes what is missing of them, or finds them gone. An
   * endpoint that is being deleted stays so.
   */
  async keep(
    { networks = [], endpoints = [], sandboxes = [] }: Entries,
    { phase = 'ready', signal }: CallOptions & { readonly phase?: Phase } = {},
  ): Promise<void> {
    await this.#commit(
      () => [
        ...networks.map((entry) => this.#networks?.putOperation(entry.record.id, storedNetwork(entry, phase))),
        ...endpoints.map((entry) => this.#endpoints?.putOperation(entry.record.id, storedEndpoint(entry, phase))),
        ...sandboxes.map((entry) => this.#sandboxes?.putOperation(entry.record.id, storedSandbox(entry, phase))),
      ],
      { signal },
    )
  }

  /** Forgets these. Where they go in parts, sandboxes are being deleted from the first part on. */
  async forget(recorded: Recorded): Promise<void> {
    await this.#commit(() => this.#forgetting(recorded))
  }

  /**
   * Forgets these, which did not come about. Where the store takes no writes now, they go with the next: what they held
   * may be another's by then, and must not be let go again at the next opening.
   */
  async discard(recorded: Recorded): Promise<void> {
    for (const operation of this.#forgetting(recorded))
      if (operation !== undefined) this.#owed.set(operation.key, operation)
    await this.settle()
  }

  /** Forgets what was to be forgotten with the next write. */
  async settle(): Promise<void> {
    await this.#commit(() => [])
  }

  #forgetting({ networks = [], endpoints = [], sandboxes = [] }: Recorded): (StoreOperation | undefined)[] {
    const isInParts = networks.length + endpoints.length + sandboxes.length > LIMITS.operations
    const living = isInParts ? sandboxes.filter((one): one is SandboxEntry => 'naming' in one) : []
    return [
      ...living.map((entry) => this.#sandboxes?.putOperation(entry.record.id, storedSandbox(entry, 'deleting'))),
      ...networks.map(({ record }) => this.#networks?.deleteOperation(record.id)),
      ...endpoints.map(({ record }) => this.#endpoints?.deleteOperation(record.id)),
      ...sandboxes.map(({ record }) => this.#sandboxes?.deleteOperation(record.id)),
    ]
  }

  /** What is said in a record that cannot be read, before any schema; undefined where not even that can be read. */
  async readRefused(key: string): Promise<unknown> {
    try {
      const entry = await this.#store?.find(key)
      return entry === undefined ? undefined : readUnchecked(entry.value)
    } catch (error) {
      if (isNetError(error, 'ERR_VALUE_DAMAGED')) return undefined
      throw error
    }
  }

  /** Forgets a record that cannot be read. That of the controller itself is written anew. */
  async forgetRefused(key: string): Promise<void> {
    if (key === OwnRecord.key) await this.#own?.mend()
    else await this.#store?.delete(key)
  }

  async #commit(operations: () => (StoreOperation | undefined)[], call?: CallOptions): Promise<void> {
    if (this.#store === undefined) return
    const compose = (): StoreOperation[] => operations().filter((operation) => operation !== undefined)
    const asked = compose()
    const keys = new Set(asked.map(({ key }) => key))
    const before = new Map(this.#owed)
    // As many as there is room for: what is asked for is not to be parted for them.
    const room = Math.max(0, LIMITS.operations - asked.length)
    const owed = [...this.#owed.values()].filter(({ key }) => !keys.has(key)).slice(0, room)
    const all = [...owed, ...asked]
    if (all.length > 0) await this.#store.transaction(all.slice(0, LIMITS.operations), call)
    // More than a transaction takes is a sandbox with a hundred endpoints: they go in parts, it goes last. What changed
    // of them meanwhile has been recorded meanwhile: each part says what is so by then.
    for (let at = LIMITS.operations; at < all.length; at += LIMITS.operations) {
      await this.#store.transaction(compose().slice(at, at + LIMITS.operations), call)
    }
    // But for what came to be owed since: that is yet to be written.
    for (const { key } of all) if (this.#owed.get(key) === before.get(key)) this.#owed.delete(key)
  }
}

/** Records read at a time: decoding more would stall the event loop. */
const PAGE = 100

type Refused = CollectionListing<unknown>['refused']

async function readAll<T>(
  collection: Collection<T> | undefined,
  turns: Turns,
): Promise<{ readonly values: readonly T[]; readonly refused: Refused }> {
  const values: T[] = []
  const refused: Refused[number][] = []
  let after: string | undefined
  while (collection !== undefined) {
    await turns.take()
    const page = await collection.list({ after, limit: PAGE })
    values.push(...page.entries.map(({ value }) => value))
    refused.push(...page.refused)
    if (!page.more) break
    after = lastOf(page)
  }
  return { values, refused }
}

/** The id of the last record of a page, whether it could be read or not. */
function lastOf({ entries, refused }: CollectionListing<unknown>): string | undefined {
  const ids = [...entries, ...refused].map(({ id }) => id)
  return ids.sort(compareKeys).at(-1)
}

/** What has records, by their ids. Sandboxes that are known are entries, those that are gone are not. */
export interface Recorded {
  readonly networks?: readonly { readonly record: { readonly id: string } }[]
  readonly endpoints?: readonly { readonly record: { readonly id: string } }[]
  readonly sandboxes?: readonly (SandboxEntry | { readonly record: { readonly id: string } })[]
}

/** Things whose records change together. */
export interface Entries {
  readonly networks?: readonly NetworkEntry[]
  readonly endpoints?: readonly EndpointEntry[]
  readonly sandboxes?: readonly SandboxEntry[]
}

function storedNetwork({ record, ipam, ipamOptions, pools }: NetworkEntry, phase: Phase): StoredNetwork {
  return { record: { ...record, phase }, ipam: ipam.name, ipamOptions, pools }
}

function storedEndpoint(entry: EndpointEntry, phase: Phase): StoredEndpoint {
  const { ipamOptions, gatewayFor } = entry
  const record = recordOf(entry)
  return { record: record.phase === 'deleting' ? record : { ...record, phase }, ipamOptions, gatewayFor }
}

function storedSandbox({ record, naming, endpoints }: SandboxEntry, phase: Phase): StoredSandbox {
  return {
    record: { ...record, phase },
    wishes: naming.wishes,
    endpoints: Array.from(endpoints, (one) => one.record.id),
  }
}
