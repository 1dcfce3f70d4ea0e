import type { DriverRegistry } from '@net/driverapi'
import type { IpamDriver } from '@net/ipamapi'
import type { Executor } from '@net/osl'
import type { PortAllocator } from '@net/portallocator'
import { ClosedError, KeyedMutex, type CallOptions, type Logger, type Turns } from '@net/types'
import type { LoopbackPorts } from './loopback/loopback-ports.ts'
import type { HostResolver } from './names/host-resolver.ts'
import type { NamingDeps } from './names/sandbox-naming.ts'
import type { Records } from './records/records.ts'
import { State } from './state.ts'

/** What the wiring supplies to a controller. */
export interface CoreDeps {
  readonly drivers: DriverRegistry
  readonly ipam: ReadonlyMap<string, IpamDriver>
  readonly executor: Executor
  readonly ports: PortAllocator
  readonly loopback?: LoopbackPorts | undefined
  readonly records: Records
  readonly naming: NamingDeps
  readonly hostNames?: HostResolver | undefined
  /** Folder of the namespaces. */
  readonly folder: string
  readonly logger: Logger
  readonly turns: Turns
}

/** What all operations of one controller share. */
export class Core {
  readonly drivers: DriverRegistry
  readonly ipam: ReadonlyMap<string, IpamDriver>
  readonly executor: Executor
  readonly ports: PortAllocator
  /** Leads ports of `::1` to containers, where that is wanted. */
  readonly loopback: LoopbackPorts | undefined
  readonly records: Records
  readonly naming: NamingDeps
  /** Answers the host itself, where that is wanted. */
  readonly hostNames: HostResolver | undefined
  readonly folder: string
  readonly logger: Logger
  readonly turns: Turns
  readonly state = new State()
  /** One holder at a time for each object, by its id. A sandbox' before its endpoints', a network's last. */
  readonly locks = new KeyedMutex<string>()
  readonly #running = new Set<Promise<unknown>>()
  #closing = false

  constructor(deps: CoreDeps) {
    this.drivers = deps.drivers
    this.ipam = deps.ipam
    this.executor = deps.executor
    this.ports = deps.ports
    this.loopback = deps.loopback
    this.records = deps.records
    this.naming = deps.naming
    this.hostNames = deps.hostNames
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
    } finally {
      this.#running.delete(running)
    }
  }

  /** Begins no more operations, and resolves once those that run are done. */
  async drain(): Promise<void> {
    this.#closing = true
    await Promise.allSettled(this.#running)
  }
}
