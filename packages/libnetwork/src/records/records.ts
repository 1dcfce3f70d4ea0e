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
import {
  controllerForm,
  endpointForm,
  FORM_VERSION,
  networkForm,
  sandboxForm,
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
  /** Keys of records that cannot be read, and why. They are still there. */
  readonly refused: readonly { readonly key: string; readonly error: Error }[]
}

/** Key of the record of the controller itself. */
const SELF = 'self'

/** The records of a controller. Where there is no store, nothing is kept, and nothing costs anything. */
export class Records {
  readonly #store: Store | undefined
  readonly #controllers: Collection<StoredController> | undefined
  readonly #networks: Collection<StoredNetwork> | undefined
  readonly #endpoints: Collection<StoredEndpoint> | undefined
  readonly #sandboxes: Collection<StoredSandbox> | undefined
  /** What is to be forgotten with the next write, by key. */
  readonly #owed = new Map<string, StoreOperation>()

  /** `store` is borrowed. */
  constructor(store: Store | undefined, logger: Logger) {
    this.#store = store
    if (store === undefined) return
    const form = { version: FORM_VERSION, logger }
    this.#controllers = new Collection(store, { ...form, prefix: 'controllers/', schema: controllerForm })
    this.#networks = new Collection(store, { ...form, prefix: 'networks/', schema: networkForm })
    this.#endpoints = new Collection(store, { ...form, prefix: 'endpoints/', schema: endpointForm })
    this.#sandboxes = new Collection(store, { ...form, prefix: 'sandboxes/', schema: sandboxForm })
  }

  /** The controller whose records these are, from when it is first asked for. */
  async controller(): Promise<StoredController> {
    const known = await this.#controllers?.find(SELF)
    if (known !== undefined) return known.value
    const controller = { id: randomId(), forwarding: [] }
    try {
      await this.#controllers?.put(SELF, controller, { ifVersion: 0 })
      return controller
    } catch (error) {
      // Another process was faster: it has the lock, too.
      if (isNetError(error, 'ERR_VERSION_CONFLICT')) return this.controller()
      throw error
    }
  }

  async keepController(controller: StoredController): Promise<void> {
    await this.#controllers?.put(SELF, controller)
  }

  /** All records, as they are while nobody writes. One that cannot be read hides no other. */
  async load(turns: Turns): Promise<StoredState> {
    const networks = await readAll(this.#networks, turns)
    const endpoints = await readAll(this.#endpoints, turns)
    const sandboxes = await readAll(this.#sandboxes, turns)
    return {
      networks: networks.values,
      endpoints: endpoints.values,
      sandboxes: sandboxes.values,
      refused: [
        ...networks.refused.map(({ id, error }) => ({ key: `networks/${id}`, error })),
        ...endpoints.refused.map(({ id, error }) => ({ key: `endpoints/${id}`, error })),
        ...sandboxes.refused.map(({ id, error }) => ({ key: `sandboxes/${id}`, error })),
      ],
    }
  }

  /**
   * Records what these are, all or none. Once it resolves, it outlives the process. They are recorded as `ready` before
   * they are: whoever opens the store after this process died makes what is missing of them, or finds them gone.
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

  /** Forgets these. */
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
    return [
      ...networks.map(({ record }) => this.#networks?.deleteOperation(record.id)),
      ...endpoints.map(({ record }) => this.#endpoints?.deleteOperation(record.id)),
      ...sandboxes.map(({ record }) => this.#sandboxes?.deleteOperation(record.id)),
    ]
  }

  async #commit(operations: () => (StoreOperation | undefined)[], call?: CallOptions): Promise<void> {
    if (this.#store === undefined) return
    const asked = operations().filter((operation) => operation !== undefined)
    const keys = new Set(asked.map(({ key }) => key))
    // As many as there is room for: what is asked for is not to be parted for them.
    const room = Math.max(0, LIMITS.operations - asked.length)
    const owed = [...this.#owed.values()].filter(({ key }) => !keys.has(key)).slice(0, room)
    const all = [...owed, ...asked]
    // More than a transaction takes is a sandbox with a hundred endpoints: they go in parts, it goes last.
    for (let at = 0; at < all.length; at += LIMITS.operations) {
      await this.#store.transaction(all.slice(at, at + LIMITS.operations), call)
    }
    for (const { key } of all) this.#owed.delete(key)
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

/** What has records, by their ids. */
export interface Recorded {
  readonly networks?: readonly { readonly record: { readonly id: string } }[]
  readonly endpoints?: readonly { readonly record: { readonly id: string } }[]
  readonly sandboxes?: readonly { readonly record: { readonly id: string } }[]
}

/** Things whose records change together. */
export interface Entries {
  readonly networks?: readonly NetworkEntry[]
  readonly endpoints?: readonly EndpointEntry[]
  readonly sandboxes?: readonly SandboxEntry[]
}

function storedNetwork({ record, ipam, pools }: NetworkEntry, phase: Phase): StoredNetwork {
  return { record: { ...record, phase }, ipam: ipam.name, pools }
}

function storedEndpoint(entry: EndpointEntry, phase: Phase): StoredEndpoint {
  return { record: { ...recordOf(entry), phase }, gatewayFor: entry.gatewayFor }
}

function storedSandbox({ record, naming, endpoints }: SandboxEntry, phase: Phase): StoredSandbox {
  return { record: { ...record, phase }, wishes: naming.wishes, endpoints: [...endpoints] }
}
