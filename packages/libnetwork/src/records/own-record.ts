import { Collection, type RecordForm, type Store } from '@net/datastore'
import { isNetError, randomId, type Logger } from '@net/types'
import { ControllerRecordError } from '../errors.ts'
import { members, type StoredController } from './stored-forms.ts'

const PREFIX = 'controllers/'
const SELF = 'self'
/** Says the same: without the id, none of the other records could be told to be ours. */
const COPY = 'copy'

/** A record as far as it can be read. */
interface Found {
  readonly value?: StoredController | undefined
  readonly error?: Error
}

/** The record of the controller itself, which is kept twice. */
export class OwnRecord {
  static readonly key = PREFIX + SELF
  readonly #store: Store
  readonly #collection: Collection<StoredController>
  readonly #logger: Logger
  #known: StoredController | undefined
  #refusal: Error | undefined

  /** `store` is borrowed. */
  constructor(store: Store, form: RecordForm<StoredController>, logger: Logger) {
    this.#store = store
    this.#collection = new Collection(store, { ...form, logger, prefix: PREFIX })
    this.#logger = logger
  }

  /** The record where it cannot be read: it stays as it is, and its copy goes for it. */
  get refused(): readonly { readonly key: string; readonly error: Error }[] {
    return this.#refusal === undefined ? [] : [{ key: OwnRecord.key, error: this.#refusal }]
  }

  /**
   * Reads it, or makes it where there is none. One that cannot be read is made up for by its copy, or by what other
   * records say; then nobody knows whose doing the host's forwarding is, and it stays as it is.
   *
   * @throws ControllerRecordError (`ERR_CONTROLLER_RECORD`); `ERR_STORE_VERSION` for that of a newer program
   */
  async read(): Promise<StoredController> {
    const self = await this.#find(SELF)
    if (self.value !== undefined) return this.#know(self.value)
    // The store of a newer program is none of ours, whatever else of it can be read.
    if (isNetError(self.error, 'ERR_STORE_VERSION')) throw self.error
    const copy = await this.#find(COPY)
    this.#refusal = self.error
    const known = copy.value ?? (await this.#deduce())
    if (known !== undefined) {
      if (self.error === undefined) await this.keep(known)
      return this.#know(known)
    }
    const error = self.error ?? copy.error
    if (error !== undefined) throw new ControllerRecordError(OwnRecord.key, error)
    return this.#make()
  }

  async keep(controller: StoredController): Promise<void> {
    this.#known = controller
    // What cannot be read stays as it is, to be looked at.
    const ids = this.#refusal === undefined ? [SELF, COPY] : [COPY]
    await this.#store.transaction(ids.map((id) => this.#collection.putOperation(id, controller)))
  }

  /** Writes it anew where it cannot be read. */
  async mend(): Promise<void> {
    this.#refusal = undefined
    if (this.#known !== undefined) await this.keep(this.#known)
  }

  /** Makes the copy where there is none. */
  async #know(controller: StoredController): Promise<StoredController> {
    this.#known = controller
    try {
      const copy = await this.#find(COPY)
      const isNewer = isNetError(copy.error, 'ERR_STORE_VERSION')
      if (!isNewer && JSON.stringify(copy.value) !== JSON.stringify(controller))
        await this.#collection.put(COPY, controller)
    } catch (error) {
      this.#logger.warn({ err: error }, 'the record of the controller has no copy')
    }
    return controller
  }

  async #make(): Promise<StoredController> {
    const controller = { id: randomId(), forwarding: [] }
    try {
      await this.#store.transaction([
        this.#collection.putOperation(SELF, controller, { ifVersion: 0 }),
        this.#collection.putOperation(COPY, controller),
      ])
      this.#known = controller
      return controller
    } catch (error) {
      // Another process was faster: it has the lock, too.
      if (isNetError(error, 'ERR_VERSION_CONFLICT')) return this.read()
      throw error
    }
  }

  /** What other records say, where they agree: the folder of namespaces is named after the controller. */
  async #deduce(): Promise<StoredController | undefined> {
    const { entries } = await this.#store.list('sandboxes/')
    const own = await this.#store.find(OwnRecord.key).catch(() => undefined)
    const said = own === undefined ? undefined : members.id.safeParse(memberOf(readUnchecked(own.value), 'id')).data
    const ids = new Set([said, ...entries.map(({ value }) => idInKey(readUnchecked(value)))])
    ids.delete(undefined)
    const [id] = ids
    return ids.size === 1 && id !== undefined ? { id, forwarding: [] } : undefined
  }

  async #find(id: string): Promise<Found> {
    try {
      return { value: (await this.#collection.find(id))?.value }
    } catch (error) {
      const isRefused = ['ERR_RECORD_REFUSED', 'ERR_STORE_VERSION', 'ERR_VALUE_DAMAGED'].some((code) =>
        isNetError(error, code),
      )
      if (!isRefused) throw error
      return { error: error as Error }
    }
  }
}

/** What bytes of a record say, before any schema; undefined where they are no record. */
export function readUnchecked(bytes: Uint8Array): unknown {
  try {
    return memberOf(JSON.parse(new TextDecoder().decode(bytes)), 'value')
  } catch {
    return undefined
  }
}

/** The controller's id in the path of a sandbox' namespace. */
function idInKey(sandbox: unknown): string | undefined {
  const key = memberOf(memberOf(sandbox, 'record'), 'key')
  return typeof key === 'string' ? /\/([0-9a-f]{64})\/[0-9a-f]{12}$/.exec(key)?.[1] : undefined
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}
