import { NoSuchDriverError, type DriverRegistry, type NetworkDriver, type NetworkRecord } from '@net/driverapi'
import { isRemoteNetwork, remoteDriver } from '@net/drivers-remote'
import { isNetError, unlessAborted, type CallOptions, type Logger } from '@net/types'
import type { PluginSearch } from './ipam-registry.ts'

/** A driver whose networks are known by their records, and that is not there (yet). */
export interface DriverUnavailable {
  readonly kind: 'driver-unavailable'
  readonly driver: string
  /** Names of its networks. What their sandboxes have goes on; the driver is asked again when something is wanted of it. */
  readonly networks: readonly string[]
  readonly error: Error
}

/** What {@link DriverPlugins} works with. */
export interface DriverPluginsDeps {
  /** Those that are found are added here. */
  readonly drivers: DriverRegistry
  readonly logger: Logger
}

/** So long a plugin has to answer when the controller opens: others wait behind it. */
const OPENING_MS = 1000

/** Finds network drivers that are plugins, when they are asked for first. */
export class DriverPlugins {
  readonly #search: PluginSearch
  readonly #drivers: DriverRegistry
  readonly #logger: Logger
  readonly #opening = new Map<string, Promise<NetworkDriver>>()

  constructor(search: PluginSearch, { drivers, logger }: DriverPluginsDeps) {
    this.#search = search
    this.#drivers = drivers
    this.#logger = logger
  }

  /**
   * The driver of a type that nobody knew so far. Who asks while it is looked for waits for the same, until he gives up.
   *
   * @throws NoSuchDriverError (`ERR_NO_SUCH_DRIVER`); `ERR_PLUGIN_UNAVAILABLE`, `ERR_PLUGIN_REPLY`, `ERR_PLUGIN_REFUSED`
   *   and `ERR_PLUGIN_SCOPE` of a plugin that is there
   */
  async get(type: string, call?: CallOptions): Promise<NetworkDriver> {
    call?.signal?.throwIfAborted()
    const opening = this.#opening.get(type) ?? this.#begin(type)
    return unlessAborted(opening, call?.signal)
  }

  #begin(type: string): Promise<NetworkDriver> {
    const opening = this.#open(type).finally(() => this.#opening.delete(type))
    this.#opening.set(type, opening)
    return opening
  }

  /**
   * Knows the drivers of networks that were recorded, whether their plugins are there or not, and says which are not.
   */
  async adopt(networks: readonly NetworkRecord[]): Promise<DriverUnavailable[]> {
    const types = new Set(networks.filter((record) => this.#isToAdopt(record)).map(({ driver }) => driver))
    const found = await Promise.all([...types].map((type) => this.#adopt(type)))
    return found.flatMap(({ driver, error }) => {
      if (error === undefined) return []
      const names = networks.filter((record) => record.driver === driver).map(({ name }) => name)
      return [{ kind: 'driver-unavailable', driver, networks: names, error }]
    })
  }

  #isToAdopt(record: NetworkRecord): boolean {
    return this.#drivers.find(record.driver) === undefined && isRemoteNetwork(record)
  }

  async #adopt(type: string): Promise<{ readonly driver: string; readonly error?: Error }> {
    const timeoutMs = Math.min(this.#search.timeoutMs ?? OPENING_MS, OPENING_MS)
    try {
      this.#drivers.add(remoteDriver({ ...this.#search, name: type }))
      await remoteDriver({ ...this.#search, name: type, timeoutMs, retryMs: 0 }).activate()
      return { driver: type }
    } catch (error) {
      this.#logger.warn({ driver: type, err: error }, 'network driver of networks that are there is not')
      return { driver: type, error: error as Error }
    }
  }

  /** For all who ask at the same time: whoever gives up leaves it to the others. */
  async #open(type: string): Promise<NetworkDriver> {
    try {
      // A name that nobody has is said at once; a plugin that is there is waited for later, while it starts again.
      await remoteDriver({ ...this.#search, name: type, retryMs: 0 }).activate()
      const driver = remoteDriver({ ...this.#search, name: type })
      this.#drivers.add(driver)
      this.#logger.info({ driver: type }, 'network driver found')
      return driver
    } catch (error) {
      const isNobody = isNetError(error, 'ERR_PLUGIN_NOT_FOUND') || isNetError(error, 'ERR_INVALID_PLUGIN')
      throw isNobody ? new NoSuchDriverError(type, this.#drivers.types(), { error }) : error
    }
  }
}
