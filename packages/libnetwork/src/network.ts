import type { Subnet } from '@net/driverapi'
import type { CallOptions } from '@net/types'
import type { Core } from './core.ts'
import { createEndpoint } from './endpoint-operations.ts'
import { Endpoint } from './endpoint.ts'
import { NoSuchEndpointError } from './errors.ts'
import { isConfigOnly } from './config-networks.ts'
import { deleteNetwork, forceDeleteNetwork } from './network-operations.ts'
import { parseCreateEndpoint, type CreateEndpointRequest } from './requests.ts'
import type { StoredPool } from './records/stored-forms.ts'
import type { NetworkEntry } from './state.ts'

/** A network that endpoints are made on. */
export class Network {
  readonly #core: Core
  readonly #entry: NetworkEntry

  /** @internal Networks come from a controller. */
  constructor(core: Core, entry: NetworkEntry) {
    this.#core = core
    this.#entry = entry
  }

  get id(): string {
    return this.#entry.record.id
  }

  get name(): string {
    return this.#entry.record.name
  }

  /** Type of its driver. */
  get driver(): string {
    return this.#entry.record.driver
  }

  get scope(): 'local' | 'global' {
    return this.#core.drivers.get(this.driver).scope
  }

  /** It is nothing but settings for networks to be made from. */
  get configOnly(): boolean {
    return isConfigOnly(this.#entry)
  }

  /** Id of the network that its settings are from. */
  get configFrom(): string | undefined {
    return this.#entry.record.configFrom
  }

  /** Name of its address manager. */
  get ipam(): string {
    return this.#entry.ipam.name
  }

  /** What the address manager was told beside, when it was asked for pools. */
  get ipamOptions(): Readonly<Record<string, string>> {
    return this.#entry.ipamOptions ?? {}
  }

  /** What was asked of the address manager for each family, beside what {@link Network.ipv4} says. */
  get pools(): readonly StoredPool[] {
    return this.#entry.pools
  }

  /** When it was made, by the host's clock. Not known of networks that an older version recorded. */
  get created(): Date | undefined {
    const { created } = this.#entry.record
    return created === undefined ? undefined : new Date(created)
  }

  get internal(): boolean {
    return this.#entry.record.internal
  }

  /** Its IPv4 pool and gateway. */
  get ipv4(): Pick<Subnet, 'pool' | 'gateway'> | undefined {
    return this.#entry.record.ipv4
  }

  /** Its IPv6 pool and gateway. */
  get ipv6(): Pick<Subnet, 'pool' | 'gateway'> | undefined {
    return this.#entry.record.ipv6
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#entry.record.labels
  }

  /** What the driver remembers of it, such as `{ bridge: 'br-…' }`. */
  get options(): unknown {
    return this.#entry.record.options
  }

  /** The endpoints on it. */
  endpoints(): Endpoint[] {
    return Array.from(new Set(this.#entry.endpointsByName.values()), (id) => {
      return new Endpoint(this.#core, this.#core.state.getEndpoint(id))
    })
  }

  /**
   * Takes addresses, a MAC address and host ports for a place on this network.
   *
   * @throws `ERR_ENDPOINT_EXISTS`, `ERR_INVALID_REQUEST`, `ERR_NO_ADDRESS_AVAILABLE`, `ERR_ADDRESS_IN_USE`,
   *   `ERR_ADDRESS_OUT_OF_RANGE`, `ERR_INVALID_MAC_ADDRESS`, `ERR_PORT_IN_USE`, …
   */
  async createEndpoint(request: CreateEndpointRequest, call?: CallOptions): Promise<Endpoint> {
    return this.#core.run(async () => {
      const network = this.#core.state.getNetwork(this.id)
      return new Endpoint(this.#core, await createEndpoint(this.#core, network, parseCreateEndpoint(request), call))
    }, call)
  }

  /** @param idOrName of an endpoint on it @throws `ERR_NO_SUCH_ENDPOINT` */
  getEndpoint(idOrName: string): Endpoint {
    const endpoint = this.findEndpoint(idOrName)
    if (endpoint === undefined) throw new NoSuchEndpointError(idOrName)
    return endpoint
  }

  findEndpoint(idOrName: string): Endpoint | undefined {
    const entry = this.#core.state.endpoints.get(this.#entry.endpointsByName.get(idOrName) ?? idOrName)
    return entry?.record.networkId === this.id ? new Endpoint(this.#core, entry) : undefined
  }

  /**
   * Deletes it. Safe to call twice. It can be given up until it begins, and is carried through then.
   *
   * @throws `ERR_ACTIVE_ENDPOINTS`, naming them, unless `force`, which deletes them first; `ERR_CONFIG_IN_USE`, naming
   *   the networks that were made from it
   */
  async delete(options: { readonly force?: boolean } = {}, call?: CallOptions): Promise<void> {
    const remove = options.force === true ? forceDeleteNetwork : deleteNetwork
    await this.#core.run(() => remove(this.#core, this.#entry, call), call)
  }
}
