import type { DriverRegistry } from '@net/driverapi'
import type { Executor } from '@net/osl'
import type { PortAllocator } from '@net/portallocator'
import { ClosedError, KeyedMutex, type CallOptions, type Logger, type Turns } from '@net/types'
import type { DriverPlugins } from './driver-plugins.ts'
import type { Happening } from './events.ts'
import type { IpamRegistry } from './ipam-registry.ts'
import type { KeyDesk } from './keys/key-desk.ts'
import type { LoopbackPorts } from './loopback/loopback-ports.ts'
import type { Meters } from './metrics/meters.ts'
import type { HostResolver } from './names/host-resolver.ts'
import type { NamingDeps } from './names/sandbox-naming.ts'
import type { Records } from './records/records.ts'
import { State } from './state.ts'

/** What is meant where a request does not say. */
export interface Defaults {
  /** Type of driver. */
  readonly driver: string
  /** Name of a network. */
  readonly network?: string | undefined
  /** Name of the network by which sandboxes reach the outside that do not by any other. */
  readonly gatewayNetwork: string
}

/** What the wiring supplies to a controller. */
export interface CoreDeps {
  readonly defaults: Defaults
  readonly drivers: DriverRegistry
  readonly driverPlugins: DriverPlugins
  readonly ipam: IpamRegistry
  readonly executor: Executor
  readonly ports: PortAllocator
  readonly loopback?: LoopbackPorts | undefined
  readonly records: Records
  readonly naming: NamingDeps
  readonly keys: KeyDesk
  readonly meters: Meters
  /** Has pools that nobody names be cut out of others. @throws `ERR_INVALID_POOL` */
  readonly changePools: (pools: readonly { readonly base: string; readonly size: number }[]) => void
  readonly hostNames?: HostResolver | undefined
  /** Tells those who listen to events. */
  readonly tell: (happening: Happening) => void
  /** Folder of the namespaces. */
  readonly folder: string
  readonly logger: Logger
  readonly turns: Turns
}

/** What all operations of one controller share. */
export class Core {
  /** Changed by reloading. */
  defaults: Defaults
  readonly drivers: DriverRegistry
  readonly driverPlugins: DriverPlugins
  readonly ipam: IpamRegistry
  readonly executor: Executor
  readonly ports: PortAllocator
  /** Leads ports of `::1` to containers, where that is wanted. */
  readonly loopback: LoopbackPorts | undefined
  readonly records: Records
  readonly naming: NamingDeps
  /** Where runtimes hand namespaces over. */
  readonly keys: KeyDesk
  readonly meters: Meters
  /** Has pools that nobody names be cut out of others. @throws `ERR_INVALID_POOL` */
  readonly changePools: (pools: readonly { readonly base: string; readonly size: number }[]) => void
  /** Answers the host itself, where that is wanted. */
  readonly hostNames: HostResolver | undefined
  /** Tells those who listen to events. */
  readonly tell: (happening: Happening) => void
  readonly folder: string
  readonly logger: Logger
  readonly turns: Turns
  readonly state = new State()
  /**
   * One holder at a time for each object, by its id. A network's before those of its endpoints' sandboxes, a sandbox'
   * before its endpoints'. That of an object to come, which nobody else waits for, can be taken at any time: it is held
   * until the object is recorded.
   */
  readonly locks = new KeyedMutex<string>()
  readonly #running = new Set<Promise<unknown>>()
  #closing = false

  constructor(deps: CoreDeps) {
    this.defaults = deps.defaults
    this.drivers = deps.drivers
    this.driverPlugins = deps.driverPlugins
    this.ipam = deps.ipam
    this.executor = deps.executor
    this.ports = deps.ports
    this.loopback = deps.loopback
    this.records = deps.records
    this.naming = deps.naming
    this.keys = deps.keys
    this.meters = deps.meters
    this.changePools = deps.changePools
    this.hostNames = deps.hostNames
    this.tell = deps.tell
    this.folder = deps.folder
    this.logger = deps.logger
    this.turns = deps.turns
  }

  /**
   * Begins an operation, unless the controller is closing. Of many that are asked for at once, each
   * waits for its turn: even their beginnings would stall the event loop.
   *
   * @throws `ERR_CLOSED`
   */
  async run<T>(operation: () => Promise<T>, call?: CallOptions): Promise<T> {
    if (this.#closing) throw new ClosedError('controller')
    const running = this.turns.begin(call).then(operation)
    this.#running.add(running)
    try {
      return await running
    } catch (error) {
      throw this.#withoutUndoing(error)
    } finally {
      this.#running.delete(running)
    }
  }

  /** How many operations run. */
  get underWay(): number {
    return this.#running.size
  }

  /** Begins no more operations, and resolves once those that run are done. */
  async drain(): Promise<void> {
    this.#closing = true
    await Promise.allSettled(this.#running)
  }

  /** Why an operation failed, without what failed in undoing it: that is logged. */
  #withoutUndoing(error: unknown): unknown {
    let why = error
    while (isSuppressing(why)) {
      this.logger.error({ err: why.error }, 'what was begun could not be undone')
      why = why.suppressed
    }
    return why
  }
}

/** What `using` throws where disposing fails after something else did: ECMAScript's SuppressedError, which Node 20 lacks. */
function isSuppressing(error: unknown): error is { readonly error: unknown; readonly suppressed: unknown } {
  return error instanceof Error && error.name === 'SuppressedError' && 'suppressed' in error
}
