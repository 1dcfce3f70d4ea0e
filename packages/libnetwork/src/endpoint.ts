import type { EndpointRecord, PlannedRoute, PublishedPort } from '@net/driverapi'
import type { CallOptions } from '@net/types'
import type { Core } from './core.ts'
import { deleteEndpoint } from './endpoint-operations.ts'
import { findGatewayEndpoint } from './gateway-network.ts'
import { planOf } from './gateways.ts'
import { join, leave } from './join-operations.ts'
import { publish, unpublish } from './port-operations.ts'
import type { PortRequest } from './port-request.ts'
import { idOf, parseJoin, type JoinOptions } from './requests.ts'
import { recordOf, type EndpointEntry } from './state.ts'

/** A place on a network: addresses, a MAC address, published ports, and the sandbox they are in. */
export class Endpoint {
  readonly #core: Core
  readonly #entry: EndpointEntry

  /** @internal Endpoints come from a network. */
  constructor(core: Core, entry: EndpointEntry) {
    this.#core = core
    this.#entry = entry
  }

  get id(): string {
    return this.#entry.record.id
  }

  get name(): string {
    return this.#entry.record.name
  }

  get networkId(): string {
    return this.#entry.record.networkId
  }

  get macAddress(): string {
    return this.#entry.record.macAddress
  }

  /** IPv4 address with prefix length, where the network has IPv4. */
  get address(): string | undefined {
    return this.#entry.record.address
  }

  /** IPv6 address with prefix length, where the network has IPv6. */
  get address6(): string | undefined {
    return this.#entry.record.address6
  }

  /** More of its addresses, with prefix length, which it alone has on its link. */
  get linkLocalAddresses(): readonly string[] {
    return this.#entry.record.linkLocalAddresses ?? []
  }

  /** Other names of it, for all of its network. */
  get aliases(): readonly string[] {
    return this.#entry.record.aliases
  }

  /** Ports that its programs serve, whether they are published or not. */
  get exposed(): EndpointRecord['exposed'] {
    return this.#entry.record.exposed
  }

  /** What the driver remembers of it. */
  get options(): unknown {
    return this.#entry.record.options
  }

  /** What the address manager was told beside, when it was asked for its addresses. */
  get ipamOptions(): Readonly<Record<string, string>> {
    return this.#entry.ipamOptions ?? {}
  }

  /** Of the endpoints of its sandbox, the one with the highest serves the default route. */
  get priority(): number {
    return this.#entry.record.priority ?? 0
  }

  /** Name of the interface in the sandbox, while joined. */
  get interfaceName(): string | undefined {
    return this.#entry.record.interfaceName
  }

  /** Id of the sandbox, while joined. */
  get sandboxId(): string | undefined {
    return this.#entry.record.sandboxId
  }

  /** Next hop of its default route for IPv4, while joined to a sandbox that has it from here. */
  get gateway(): string | undefined {
    return this.#gateways().ipv4
  }

  /** As {@link Endpoint.gateway}, for IPv6. */
  get gateway6(): string | undefined {
    return this.#gateways().ipv6
  }

  /** Routes that its sandbox has by way of it, besides those to its own network and the default ones. */
  get routes(): readonly PlannedRoute[] {
    return this.#entry.record.routes ?? []
  }

  #gateways(): { readonly ipv4?: string | undefined; readonly ipv6?: string | undefined } {
    const sandbox = this.#core.state.findSandbox(this.sandboxId ?? '')
    return sandbox === undefined ? {} : planOf(this.#core, this.#entry, sandbox).sandbox.gateways
  }

  /** What is published, with the host ports it got. */
  ports(): readonly PublishedPort[] {
    return recordOf(this.#entry).ports
  }

  /**
   * Gives the sandbox this endpoint's interface, addresses, routes and ports, or leaves nothing behind.
   *
   * @param sandbox a sandbox or its id
   * @throws `ERR_ENDPOINT_JOINED`, `ERR_NO_SUCH_SANDBOX`, `ERR_BRIDGE_FULL`, `ERR_INTERFACE_EXISTS`,
   *   `ERR_ADDRESS_CONFLICT`, `ERR_ROUTE_EXISTS`, …
   */
  async join(sandbox: { readonly id: string } | string, options: JoinOptions = {}, call?: CallOptions): Promise<void> {
    const wanted = parseJoin(options)
    await this.#core.run(
      () => join(this.#core, this.#entry, this.#core.state.getSandbox(idOf('sandbox', sandbox)), wanted, call),
      call,
    )
  }

  /** Takes it out of the sandbox again. @throws `ERR_ENDPOINT_NOT_JOINED`, `ERR_NO_SUCH_SANDBOX` */
  async leave(sandbox: { readonly id: string } | string, call?: CallOptions): Promise<void> {
    await this.#core.run(
      () => leave(this.#core, this.#entry, this.#core.state.getSandbox(idOf('sandbox', sandbox)), call),
      call,
    )
  }

  /**
   * Publishes ports, all or none, joined or not, and says which host ports they got.
   *
   * @throws `ERR_PORT_IN_USE`, `ERR_NO_PORT_AVAILABLE`, `ERR_INTERNAL_NETWORK`, `ERR_FAMILY_MISMATCH`, …
   */
  async publish(ports: readonly PortRequest[], call?: CallOptions): Promise<readonly PublishedPort[]> {
    return this.#core.run(() => publish(this.#core, this.#entry, ports, call), call)
  }

  /** Takes published ports back, all or none. @throws `ERR_PORT_NOT_PUBLISHED` */
  async unpublish(ports: readonly PortRequest[], call?: CallOptions): Promise<void> {
    await this.#core.run(() => unpublish(this.#core, this.#entry, ports, call), call)
  }

  /**
   * What the driver knows of it, under libnetwork's label names. As libnetwork does: of the endpoint on the gateway
   * network, where the sandbox reaches the outside by that.
   */
  driverInfo(call?: CallOptions): Promise<Readonly<Record<string, unknown>>> {
    return this.#core.run(async () => {
      const sandbox = this.#core.state.sandboxes.get(this.#entry.record.sandboxId ?? '')
      const told = (sandbox && findGatewayEndpoint(sandbox)) ?? this.#entry
      const { record } = this.#core.state.getNetwork(told.record.networkId)
      const driver = this.#core.drivers.get(record.driver)
      const own = driver.describe(record, recordOf(told))
      const { effects } = driver
      return effects === undefined ? own : { ...own, ...(await effects.endpointInfo(record, told.record, call)) }
    }, call)
  }

  /** Deletes it. Safe to call twice. @throws `ERR_ENDPOINT_JOINED` unless `force`, which makes it leave first */
  async delete(options: { readonly force?: boolean } = {}, call?: CallOptions): Promise<void> {
    const { force = false } = options
    await this.#core.run(() => deleteEndpoint(this.#core, this.#entry, { force }, call), call)
  }
}
