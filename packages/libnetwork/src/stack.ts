import { mkdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { bridgeDriver } from '@net/drivers-bridge'
import type { Store } from '@net/datastore'
import { DriverRegistry, type FirewallFact, type NetworkDriver } from '@net/driverapi'
import { openFirewall, type ForeignAnswer } from '@net/firewall'
import { defaultIpam, nullIpam } from '@net/ipam'
import type { IpamDriver } from '@net/ipamapi'
import { holdName, isNameHeld, type HeldName } from '@net/netlink-ffi'
import { Executor, isSandbox, type DriftAnswer, type ForwardingMemory } from '@net/osl'
import { BoundFiles, FairSlots, type FairSlotsOptions } from '@net/resolver'
import { openPortAllocator, type PortAllocatorOptions } from '@net/portallocator'
import { Rollback, shortId, silentLogger, Turns, type Logger } from '@net/types'
import { Controller } from './controller.ts'
import { Core } from './core.ts'
import { ControllerRunningError, InvalidRequestError, RuntimeDirectoryError } from './errors.ts'
import { EventLog, type Happening } from './events.ts'
import { openHostResolver, type HostResolverOptions } from './names/host-resolver.ts'
import { HostResolvConf } from './names/host-resolv-conf.ts'
import type { NamingDeps } from './names/sandbox-naming.ts'
import { recover } from './records/recover.ts'
import { Records } from './records/records.ts'
import type { StoredController } from './records/stored-forms.ts'
import { factsOf, survey } from './records/survey.ts'

/** What can be chosen about a controller. */
export interface ControllerOptions {
  /** One process at a time opens a controller of this name on a host. @defaultValue its random id */
  readonly name?: string | undefined
  /** Folder below which namespaces are mounted. @defaultValue `/run/net` */
  readonly runtimeDirectory?: string | undefined
  /** Network drivers beside the built-in ones (`bridge`). */
  readonly drivers?: readonly NetworkDriver[] | undefined
  /** Address managers beside the built-in ones (`default`, `null`). */
  readonly ipam?: readonly IpamDriver[] | undefined
  /** Pools that networks get when they name none: CIDR `base`, cut into subnets of prefix length `size`. */
  readonly pools?: readonly { readonly base: string; readonly size: number }[] | undefined
  readonly ports?: PortAllocatorOptions | undefined
  readonly dns?: ControllerDnsOptions | undefined
  /**
   * What to do about a firewall of another program that drops packets of networks (Docker's, ufw's, firewalld's): tell
   * of it, or put two rules into its chain that let them pass. @defaultValue 'warn'
   */
  readonly foreignFirewall?: ForeignAnswer | undefined
  /**
   * What to do when somebody else changes or deletes bridges, their addresses or the host's ends of interfaces: tell of
   * it, or put it right as well. @defaultValue 'repair'
   */
  readonly drift?: DriftAnswer | undefined
  /**
   * What `close` does with sandboxes and networks. Those that are kept are there again when the same state directory or
   * store is opened next. @defaultValue 'keep' where there is one, else 'delete'
   */
  readonly onClose?: 'delete' | 'keep' | undefined
  /** Folder that records are kept in: what is made outlives the process. @defaultValue memory only */
  readonly stateDirectory?: string | undefined
  /** Stores of the caller's instead: `local`, for this controller alone. They stay open. */
  readonly stores?: { readonly local?: Store | undefined } | undefined
  readonly logger?: Logger | undefined
}

/** How names are answered, in all sandboxes of a controller. */
export interface ControllerDnsOptions extends Partial<NamingDeps['resolver']> {
  /** The host's resolv.conf: what sandboxes' are made of, and followed as it changes. @defaultValue `/etc/resolv.conf` */
  readonly resolvConf?: string | undefined
  /** Questions to other servers under way at a time, of all sandboxes together and of each. @defaultValue 1024 and 256 */
  readonly slots?: FairSlotsOptions | undefined
  /** Answer the host itself, to questions for `name.network`. @defaultValue nobody does */
  readonly host?: HostResolverOptions | undefined
}

/** Where namespaces lie. */
const RUNTIME_DIRECTORY = '/run/net'

/**
 * Opens a controller with the full stack, on the network namespace of the calling thread: its host.
 *
 * @throws `ERR_NOT_PERMITTED`, `ERR_CONTROLLER_RUNNING` (with the other process' id), `ERR_FIREWALL_UNSUPPORTED`,
 *   `ERR_RUNTIME_DIRECTORY`, `ERR_INVALID_REQUEST`, `ERR_NOT_IMPLEMENTED`
 */
export async function openController(options: ControllerOptions = {}): Promise<Controller> {
  const keeps = checkOnClose(options)
  const logger = options.logger ?? silentLogger
  const turns = new Turns()
  const drift = driftOf(options)
  const deps = { drivers: driversOf(options), ipam: ipamOf(options, logger), logger, turns }

  // Let go in the opposite order, whichever fails: the name last, so that a successor finds the host as it is left.
  const held = new Rollback()
  try {
    const records = new Records(await openStore(options, held, logger), logger)
    const stored = await records.controller()
    const { id } = stored
    for (const name of new Set([id, options.name ?? id])) {
      const lock = holdControllerName(name)
      held.defer('hold the name', () => {
        lock.close()
      })
    }
    const events = new EventLog()
    held.defer('remember events', () => {
      events.close()
    })
    const onEvent = (event: Happening): void => {
      events.add(event)
    }
    const found = survey(await records.load(), { drivers: deps.drivers, isSandbox })
    const { foreignFirewall } = options
    const firewall = await openFirewall(
      {
        table: `net_${shortId(id)}`,
        owner: id,
        foreignFirewall,
        facts: [...factsOf(found, deps.drivers), ...forwardingOf(stored)],
      },
      { logger, onEvent },
    )
    held.defer('open the firewall', () => (keeps ? firewall.detach() : firewall.close()))
    const folder = createFolder(id, options.runtimeDirectory, held)
    const ports = openPortAllocator(options.ports, { turns })
    held.defer('open the port allocator', () => ports.close())
    const forwarding: ForwardingMemory = {
      switchedOn: stored.forwarding,
      keep: (families) => records.keepController({ id, forwarding: families }),
    }
    const executor = Executor.open({ owner: `net:${id}`, drift }, { firewall, forwarding, turns, logger, onEvent })
    held.defer('open the executor', () => executor.close())
    const { host, ...naming } = options.dns ?? {}
    const hostNames = host === undefined ? undefined : await openHostResolver(host, { logger })
    if (hostNames !== undefined) held.defer('answer the host', () => hostNames.close())
    const parts = { ...deps, executor, ports, records, folder, naming: namingOf(naming, logger), hostNames }
    const core = new Core(parts)
    held.defer('answer names', async () => {
      for (const sandbox of core.state.sandboxes.values()) await sandbox.naming.detach()
    })
    await recover(core, found, onEvent)
    logger.info({ controllerId: id }, 'controller opened')
    return new Controller(id, core, events, { keeps, release: () => held[Symbol.asyncDispose]() })
  } catch (error) {
    await held[Symbol.asyncDispose]()
    throw error
  }
}

/** Whether networks and sandboxes outlive the controller. */
function checkOnClose({ onClose, stateDirectory, stores }: ControllerOptions): boolean {
  const hasStore = stateDirectory !== undefined || stores?.local !== undefined
  if (stateDirectory !== undefined && stores?.local !== undefined) {
    throw new InvalidRequestError(
      'controller',
      'stores.local',
      'expected either a state directory or a store, got both',
    )
  }
  if (onClose === 'keep' && !hasStore) {
    throw new InvalidRequestError(
      'controller',
      'onClose',
      "expected a state directory or a store with 'keep': nobody would know what is kept",
    )
  }
  return (onClose ?? (hasStore ? 'keep' : 'delete')) === 'keep'
}

async function openStore(
  { stateDirectory, stores }: ControllerOptions,
  held: Rollback,
  logger: Logger,
): Promise<Store | undefined> {
  if (stateDirectory === undefined) return stores?.local
  // Who keeps nothing needs no LMDB.
  const { openLmdbStore } = await import('@net/datastore-lmdb')
  const store = await openLmdbStore({ path: join(stateDirectory, 'store'), logger })
  held.defer('open the store', () => store.close())
  return store
}

function forwardingOf({ forwarding }: StoredController): FirewallFact[] {
  return forwarding.map((family) => ({ kind: 'forwarding', family }))
}

function driftOf({ drift = 'repair' }: ControllerOptions): DriftAnswer {
  if (['off', 'report', 'repair'].includes(drift)) return drift
  throw new InvalidRequestError('controller', 'drift', `expected off, report or repair, got ${JSON.stringify(drift)}`)
}

function namingOf({ resolvConf, slots, ...resolver }: ControllerDnsOptions, logger: Logger): NamingDeps {
  return {
    host: new HostResolvConf(resolvConf ?? '/etc/resolv.conf', { logger }),
    bound: new BoundFiles(),
    slots: new FairSlots(slots ?? { total: 1024, each: 256 }),
    resolver,
    logger,
  }
}

function driversOf(options: ControllerOptions): DriverRegistry {
  const drivers = new DriverRegistry()
  for (const driver of [bridgeDriver(), ...(options.drivers ?? [])]) drivers.add(driver)
  return drivers
}

function ipamOf(options: ControllerOptions, logger: Logger): Map<string, IpamDriver> {
  const builtIn = [defaultIpam({ pools: options.pools }, { logger }), nullIpam()]
  return new Map([...builtIn, ...(options.ipam ?? [])].map((ipam) => [ipam.name, ipam]))
}

/** A longer name would not fit an abstract socket's address (struct sockaddr_un). */
const NAME_BYTES = 100

function holdControllerName(name: string): HeldName {
  const bytes = Buffer.byteLength(name)
  if (bytes === 0 || bytes > NAME_BYTES) {
    throw new InvalidRequestError('controller', 'name', `expected 1 to ${NAME_BYTES} bytes, got ${bytes}`)
  }
  try {
    return holdName(`net/${name}`)
  } catch (cause) {
    throw isNameHeld(cause) ? new ControllerRunningError(name, cause.pid, cause) : cause
  }
}

/** Makes the controller's folder. It goes with the controller, and so does what had to be made for it. */
function createFolder(id: string, runtimeDirectory: string | undefined, held: Rollback): string {
  const parent = runtimeDirectory ?? RUNTIME_DIRECTORY
  const isParentMade = createPath(parent)
  // Our own folder may have been made by another controller, and be left to us to remove.
  if (isParentMade || runtimeDirectory === undefined) {
    held.defer(`create ${parent}`, () => {
      removeEmpty(parent)
    })
  }
  const folder = join(parent, id)
  createPath(folder)
  held.defer(`create ${folder}`, () => {
    removeEmpty(folder)
  })
  return folder
}

/** Makes a folder, and those it lies in; says whether any had to be made. */
function createPath(path: string): boolean {
  try {
    return mkdirSync(path, { recursive: true, mode: 0o755 }) !== undefined
  } catch (cause) {
    throw new RuntimeDirectoryError(path, cause)
  }
}

/** Removes a folder, unless somebody has something in it. */
function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'EBUSY'].includes(code)) throw error
  }
}
