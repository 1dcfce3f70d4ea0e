import type { CallOptions } from '@net/types'
import { configDriver, isConfigOnly } from './config-networks.ts'
import type { Core } from './core.ts'
import { describe, type ControllerDescription } from './describe.ts'
import { deleteEndpoint } from './endpoint-operations.ts'
import { Endpoint } from './endpoint.ts'
import type { ControllerEvent, EventLog, EventsOptions } from './events.ts'
import { attach, createSandbox, deleteSandbox } from './join-operations.ts'
import { metricsOf, type MetricsOptions } from './metrics/controller-metrics.ts'
import { createNetwork, deleteNetwork } from './network-operations.ts'
import { matchesNetwork, type NetworkFilter } from './network-filter.ts'
import { Network } from './network.ts'
import {
  parseAttach,
  parseCreateNetwork,
  parseCreateSandbox,
  type AttachRequest,
  type CreateNetworkRequest,
  type CreateSandboxRequest,
} from './requests.ts'
import { parseReload, reload, type ReloadOptions } from './reload.ts'
import { forgetRecord } from './records/forget-record.ts'
import { Sandbox } from './sandbox.ts'

/** A container on a network. */
export interface Attachment {
  readonly endpoint: Endpoint
  readonly sandbox: Sandbox
  /** Unmakes both. Safe to call twice. */
  detach(): Promise<void>
}

/** Networks, endpoints and sandboxes of one host. */
export class Controller implements AsyncDisposable {
  readonly id: string
  readonly #core: Core
  readonly #events: EventLog
  readonly #keeps: boolean
  readonly #release: () => Promise<void>
  #closing: Promise<void> | undefined

  /** @internal Controllers come from `openController`. */
  constructor(
    id: string,
    core: Core,
    events: EventLog,
    { keeps, release }: { readonly keeps: boolean; readonly release: () => Promise<void> },
  ) {
    this.id = id
    this.#core = core
    this.#events = events
    this.#keeps = keeps
    this.#release = release
  }

  /**
   * Makes a network, or leaves nothing behind.
   *
   * @throws `ERR_NETWORK_EXISTS`, `ERR_INVALID_REQUEST`, `ERR_NO_SUCH_DRIVER`, `ERR_POOL_OVERLAP`,
   *   `ERR_INVALID_POOL`, `ERR_ADDRESS_OUT_OF_RANGE` (a gateway outside its pool), `ERR_INTERFACE_EXISTS`, …
   */
  async createNetwork(request: CreateNetworkRequest, call?: CallOptions): Promise<Network> {
    return this.#core.run(
      async () => new Network(this.#core, await createNetwork(this.#core, parseCreateNetwork(request), call)),
      call,
    )
  }

  /** Makes a sandbox for a container. @throws `ERR_CONTAINER_HAS_SANDBOX`, `ERR_INVALID_REQUEST`, `ERR_NOT_PERMITTED` */
  async createSandbox(request: CreateSandboxRequest, call?: CallOptions): Promise<Sandbox> {
    return this.#core.run(
      async () => new Sandbox(this.#core, await createSandbox(this.#core, parseCreateSandbox(request), call)),
      call,
    )
  }

  /** Puts a container on a network: `createEndpoint`, `createSandbox` and `join`, all three or nothing. */
  async attach(request: AttachRequest, call?: CallOptions): Promise<Attachment> {
    return this.#core.run(async () => {
      const checked = parseAttach(request)
      const entries = await this.#core.meters.attach.time(() => attach(this.#core, checked, call))
      const sandbox = new Sandbox(this.#core, entries.sandbox)
      return { endpoint: new Endpoint(this.#core, entries.endpoint), sandbox, detach: () => sandbox.delete() }
    }, call)
  }

  /** All networks, or those that a filter means, in the order of creation. */
  networks(filter: NetworkFilter = {}): Network[] {
    return [...this.#core.state.networks.values()]
      .filter((entry) => matchesNetwork(entry, filter))
      .map((entry) => new Network(this.#core, entry))
  }

  /** The endpoints of all networks, in the order of creation. */
  endpoints(): Endpoint[] {
    return Array.from(this.#core.state.endpoints.values(), (entry) => new Endpoint(this.#core, entry))
  }

  /** @throws `ERR_NO_SUCH_ENDPOINT` */
  getEndpoint(id: string): Endpoint {
    return new Endpoint(this.#core, this.#core.state.getEndpoint(id))
  }

  findEndpoint(id: string): Endpoint | undefined {
    const entry = this.#core.state.endpoints.get(id)
    return entry === undefined ? undefined : new Endpoint(this.#core, entry)
  }

  /** The types of network drivers. */
  drivers(): readonly string[] {
    return this.#core.drivers.types().filter((type) => type !== configDriver.type)
  }

  /** The names of address managers; plugins that were not asked for yet are not among them. */
  ipamDrivers(): readonly string[] {
    return this.#core.ipam.names()
  }

  /** All sandboxes, in the order of creation. */
  sandboxes(): Sandbox[] {
    return Array.from(this.#core.state.sandboxes.values(), (entry) => new Sandbox(this.#core, entry))
  }

  /** @throws `ERR_NO_SUCH_NETWORK` */
  getNetwork(idOrName: string): Network {
    return new Network(this.#core, this.#core.state.getNetwork(idOrName))
  }

  findNetwork(idOrName: string): Network | undefined {
    const entry = this.#core.state.findNetwork(idOrName)
    return entry === undefined ? undefined : new Network(this.#core, entry)
  }

  /** @param id of the sandbox or of its container @throws `ERR_NO_SUCH_SANDBOX` */
  getSandbox(id: string): Sandbox {
    return new Sandbox(this.#core, this.#core.state.getSandbox(id))
  }

  findSandbox(id: string): Sandbox | undefined {
    const entry = this.#core.state.findSandbox(id)
    return entry === undefined ? undefined : new Sandbox(this.#core, entry)
  }

  /**
   * What happens to the controller's networks without its doing: packet rules that another program removed, another
   * firewall in the way. The last events are remembered, for all who listen; who is too slow is told how many he missed.
   * Ends with its signal, and when the controller is closed.
   */
  events(options?: EventsOptions): AsyncIterable<ControllerEvent> {
    return this.#events.events(options)
  }

  /**
   * Everything it knows, and what the kernel has, side by side, with what differs between the two. Plain JSON, for
   * people and for reports of what went wrong. It looks, and repairs nothing.
   */
  async describe(call?: CallOptions): Promise<ControllerDescription> {
    return this.#core.run(() => describe(this.#core, this.id), call)
  }

  /**
   * Forgets a record that nothing can be done with (`describe().refused`), for good: its names and ports are free from
   * then on. What the host still has of it goes when the controller is opened next, and has its addresses until then.
   * Of one that was forgotten already nothing is done.
   *
   * @throws `ERR_RECORD_NOT_REFUSED`
   */
  async forgetRecord(key: string, call?: CallOptions): Promise<void> {
    await this.#core.run(() => forgetRecord(this.#core, key), call)
  }

  /**
   * Numbers of networks, containers, events and resolvers, as the text of OpenMetrics 1.0
   * ({@link OPEN_METRICS_CONTENT_TYPE}) that Prometheus and others read.
   */
  metrics(options: MetricsOptions = {}): string {
    return metricsOf(this.#core, options)
  }

  /**
   * Changes what is chosen about it while it runs: all of it, or nothing. What is left out stays as it is; what was made
   * already does too, but for resolvers of sandboxes that are refreshed.
   *
   * @throws `ERR_INVALID_REQUEST`, `ERR_INVALID_POOL`
   */
  async reload(options: ReloadOptions): Promise<void> {
    await this.#core.run(() => {
      reload(this.#core, parseReload(options))
      return Promise.resolve()
    })
  }

  /**
   * Waits for what runs, deletes every sandbox and network unless they are kept (`onClose`), and lets everything go.
   * Safe to call twice.
   * Whatever fails, the rest is done; the failures come out together as an `AggregateError`.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    await this.#core.drain()
    const failures: unknown[] = []
    const attempt = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work()
      } catch (error) {
        failures.push(error)
      }
    }
    if (!this.#keeps) await this.#deleteAll(attempt)
    await attempt(this.#release)
    if (failures.length > 0) throw new AggregateError(failures, 'closing the controller was incomplete')
  }

  async #deleteAll(attempt: (work: () => Promise<void>) => Promise<void>): Promise<void> {
    const { state } = this.#core
    for (const sandbox of [...state.sandboxes.values()]) await attempt(() => deleteSandbox(this.#core, sandbox))
    for (const endpoint of [...state.endpoints.values()]) {
      await attempt(() => deleteEndpoint(this.#core, endpoint, { force: true }))
    }
    // Those that others were made from come last.
    const networks = [...state.networks.values()]
    for (const network of [...networks.filter((one) => !isConfigOnly(one)), ...networks.filter(isConfigOnly)]) {
      await attempt(() => deleteNetwork(this.#core, network))
    }
    await attempt(() => this.#core.records.settle())
  }
}
