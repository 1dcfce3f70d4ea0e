import { remoteIpam } from '@net/ipam'
import type { IpamDriver } from '@net/ipamapi'
import type { PluginOptions } from '@net/plugins'
import { isNetError, type CallOptions, type Logger } from '@net/types'
import { NoSuchIpamDriverError } from './errors.ts'

/** Where plugins are looked for, and how patient one is with them. */
export type PluginSearch = Omit<PluginOptions, 'name' | 'address'>

/** The address managers of a controller, by name. A plugin is looked for when it is asked for first. */
export class IpamRegistry {
  readonly #known: Map<string, IpamDriver>
  readonly #opening = new Map<string, Promise<IpamDriver>>()
  readonly #plugins: PluginSearch
  readonly #logger: Logger

  constructor(known: readonly IpamDriver[], plugins: PluginSearch, logger: Logger) {
    this.#known = new Map(known.map((ipam) => [ipam.name, ipam]))
    this.#plugins = plugins
    this.#logger = logger
  }

  /** Those that were asked for already. */
  names(): string[] {
    return [...this.#known.keys()]
  }

  /**
   * The manager of that name.
   *
   * @throws NoSuchIpamDriverError (`ERR_NO_SUCH_IPAM_DRIVER`); `ERR_PLUGIN_UNAVAILABLE`, `ERR_PLUGIN_REPLY` and
   *   `ERR_PLUGIN_REFUSED` of a plugin that is there
   */
  async get(name: string, call?: CallOptions): Promise<IpamDriver> {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    call?.signal?.throwIfAborted()
    const opening = this.#opening.get(name) ?? this.#open(name)
    this.#opening.set(name, opening)
    try {
      const ipam = await opening
      this.#known.set(name, ipam)
      return ipam
    } finally {
      this.#opening.delete(name)
    }
  }

  /** For all who ask at the same time: whoever gives up leaves it to the others. */
  async #open(name: string): Promise<IpamDriver> {
    const options = { ...this.#plugins, name }
    try {
      // A name that nobody has is said at once; a plugin that is there is waited for later, while it starts again.
      await remoteIpam({ ...options, retryMs: 0 }, { logger: this.#logger })
      return await remoteIpam(options, { logger: this.#logger })
    } catch (error) {
      const isNobody = isNetError(error, 'ERR_PLUGIN_NOT_FOUND') || isNetError(error, 'ERR_INVALID_PLUGIN')
      throw isNobody ? new NoSuchIpamDriverError(name, this.names(), error) : error
    }
  }
}
