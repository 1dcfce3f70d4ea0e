import { remoteIpam } from '@net/ipam'
import type { IpamDriver } from '@net/ipamapi'
import type { PluginOptions } from '@net/plugins'
import { isNetError, unlessAborted, type CallOptions, type Logger } from '@net/types'
import { InvalidRequestError, NoSuchIpamDriverError } from './errors.ts'

/** Where plugins are looked for, and how patient one is with them. */
export type PluginSearch = Omit<PluginOptions, 'name' | 'address'>

/** The manager of networks that name none. */
const DEFAULT = 'default'

/** What {@link IpamRegistry} works with. */
export interface IpamRegistryDeps {
  readonly plugins: PluginSearch
  readonly logger: Logger
}

/** The address managers of a controller, by name. A plugin is looked for when it is asked for first. */
export class IpamRegistry {
  readonly #known: Map<string, IpamDriver>
  readonly #own: readonly IpamDriver[]
  readonly #opening = new Map<string, Promise<IpamDriver>>()
  readonly #plugins: PluginSearch
  readonly #logger: Logger

  /**
   * Those `given` take the place of our `own` of the same name.
   *
   * @throws InvalidRequestError (`ERR_INVALID_REQUEST`): two of them have one name, or one has none
   */
  constructor(own: readonly IpamDriver[], given: readonly IpamDriver[], { plugins, logger }: IpamRegistryDeps) {
    checkNames(given)
    this.#own = own
    this.#known = new Map([...own, ...given].map((ipam) => [ipam.name, ipam]))
    this.#plugins = plugins
    this.#logger = logger
  }

  /**
   * Refuses pools of `what`, which would be those of our own manager, where another has its place.
   *
   * @throws InvalidRequestError (`ERR_INVALID_REQUEST`)
   */
  checkPools(what: string): void {
    if (this.#own.some((ipam) => ipam === this.#known.get(DEFAULT))) return
    const problem = `expected none, since an address manager that was handed in is ${JSON.stringify(DEFAULT)}: it has its own`
    throw new InvalidRequestError(what, 'pools', problem)
  }

  /** Whether it is our own: it answers at once. */
  isOwn(ipam: IpamDriver): boolean {
    return this.#own.includes(ipam)
  }

  /** Those that were asked for already. */
  names(): string[] {
    return [...this.#known.keys()]
  }

  /**
   * The manager of that name. Who asks while it is looked for waits for the same, until he gives up.
   *
   * @throws NoSuchIpamDriverError (`ERR_NO_SUCH_IPAM_DRIVER`); `ERR_PLUGIN_UNAVAILABLE`, `ERR_PLUGIN_REPLY` and
   *   `ERR_PLUGIN_REFUSED` of a plugin that is there
   */
  async get(name: string, call?: CallOptions): Promise<IpamDriver> {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    call?.signal?.throwIfAborted()
    return unlessAborted(this.#opening.get(name) ?? this.#begin(name), call?.signal)
  }

  #begin(name: string): Promise<IpamDriver> {
    const opening = this.#open(name).finally(() => this.#opening.delete(name))
    this.#opening.set(name, opening)
    return opening
  }

  /** For all who ask at the same time: whoever gives up leaves it to the others. */
  async #open(name: string): Promise<IpamDriver> {
    const options = { ...this.#plugins, name }
    try {
      // A name that nobody has is said at once; a plugin that is there is waited for later, while it starts again.
      await remoteIpam({ ...options, retryMs: 0 }, { logger: this.#logger })
      const ipam = await remoteIpam(options, { logger: this.#logger })
      this.#known.set(name, ipam)
      return ipam
    } catch (error) {
      const isNobody = isNetError(error, 'ERR_PLUGIN_NOT_FOUND') || isNetError(error, 'ERR_INVALID_PLUGIN')
      throw isNobody ? new NoSuchIpamDriverError(name, this.names(), error) : error
    }
  }
}

function checkNames(given: readonly IpamDriver[]): void {
  const names = given.map(({ name }) => name)
  for (const [at, name] of names.entries()) {
    if (name !== '' && name.trim() === name && names.indexOf(name) === at) continue
    const problem = `expected a name of its own, without blanks around it, for each, got ${JSON.stringify(name)}`
    throw new InvalidRequestError('controller', 'ipam', problem)
  }
}
