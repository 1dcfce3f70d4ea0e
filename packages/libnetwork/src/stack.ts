import { bridgeDriver } from '@net/drivers-bridge'
import { DriverRegistry, type FirewallFact, type NetworkDriver } from '@net/driverapi'
import {
  openFirewall,
  openIptablesFirewall,
  type FirewallDeps,
  type ForeignAnswer,
  type TableFirewall,
} from '@net/firewall'
import { defaultIpam, nullIpam, type PoolBaseOptions } from '@net/ipam'
import type { IpamDriver } from '@net/ipamapi'
import { holdName, isNameHeld, makeRoomForDescriptors, type HeldName } from '@net/netlink-ffi'
import { Executor, isSandbox, type DriftAnswer, type ForwardingMemory } from '@net/osl'
import { BoundFiles, FairSlots, UsualPorts, type FairSlotsOptions } from '@net/resolver'
import { openPortAllocator, type PortAllocatorOptions } from '@net/portallocator'
import { Rollback, shortId, silentLogger, Turns, type Logger } from '@net/types'
import { Controller } from './controller.ts'
import { configDriver } from './config-networks.ts'
import { Core, type Defaults } from './core.ts'
import { DriverPlugins } from './driver-plugins.ts'
import { ControllerRunningError, InvalidRequestError } from './errors.ts'
import { EventLog, type Happening } from './events.ts'
import { isAwaited } from './gateways.ts'
import { IpamRegistry, type PluginSearch } from './ipam-registry.ts'
import { awaitKeys } from './keys/set-key.ts'
import { KeyDesk } from './keys/key-desk.ts'
import { openLoopbackPorts, type UserlandProxy } from './loopback/loopback-ports.ts'
import { Meters } from './metrics/meters.ts'
import { ResolverTotals } from './metrics/resolver-totals.ts'
import { openHostResolver, type HostResolverOptions } from './names/host-resolver.ts'
import { HostResolvConf } from './names/host-resolv-conf.ts'
import type { NamingDeps } from './names/sandbox-naming.ts'
import { recover } from './records/recover.ts'
import { LostPorts } from './records/lost-ports.ts'
import { logRecovery, type RecoveryEvent } from './records/recovery-events.ts'
import { isKept, openStore, outlives, type KeepingOptions } from './records/open-store.ts'
import { Records } from './records/records.ts'
import type { StoredController } from './records/stored-forms.ts'
import { survey } from './records/survey.ts'
import { createFolder } from './runtime-folder.ts'

/** What can be chosen about a controller. */
export interface ControllerOptions extends KeepingOptions {
  /** One process at a time opens a controller of this name on a host. @defaultValue its random id */
  readonly name?: string | undefined
  /** Folder below which namespaces are mounted. @defaultValue `/run/net` */
  readonly runtimeDirectory?: string | undefined
  /** Network drivers beside the built-in ones (`bridge`). */
  readonly drivers?: readonly NetworkDriver[] | undefined
  /** Driver of networks that name none. @defaultValue 'bridge' */
  readonly defaultDriver?: string | undefined
  /** Name of the network of those who attach to none by name. @defaultValue they have to name one */
  readonly defaultNetwork?: string | undefined
  /**
   * Name of the network by which sandboxes reach the outside whose own networks do not lead there. One of that name is
   * used if it is there; else it is made when it is needed first. @defaultValue 'net_gateway'
   */
  readonly gatewayNetwork?: string | undefined
  /** Address managers beside the built-in ones (`default`, `null`). */
  readonly ipam?: readonly IpamDriver[] | undefined
  /** Where network drivers and address managers are looked for that are plugins. @defaultValue where Docker's are */
  readonly plugins?: PluginSearch | undefined
  /** Pools that networks get when they name none: CIDR `base`, cut into subnets of prefix length `size`. */
  readonly pools?: readonly { readonly base: string; readonly size: number }[] | undefined
  readonly ports?: PortAllocatorOptions | undefined
  readonly dns?: ControllerDnsOptions | undefined
  /** What packet rules are made of: `iptables` for hosts whose other rules are. @defaultValue 'nftables' */
  readonly firewall?: 'nftables' | 'iptables' | undefined
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
   * Whether a proxy process leads published ports of `::1` to containers, the one address of the host that packet rules
   * do not. @defaultValue 'off'
   */
  readonly userlandProxy?: UserlandProxy | undefined
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

/** Room for those of a thousand sandboxes, with resolvers and ports: see {@link makeRoomForDescriptors}. */
const DESCRIPTORS = 4096

/**
 * Opens a controller with the full stack, on the network namespace of the calling thread: its host.
 *
 * @throws `ERR_NOT_PERMITTED`, `ERR_CONTROLLER_RUNNING` (with the other process' id), `ERR_FIREWALL_UNSUPPORTED`,
 *   `ERR_RUNTIME_DIRECTORY`, `ERR_INVALID_REQUEST`, and what opening the store throws (`ERR_STORE_DAMAGED`, …)
 */
export async function openController(options: ControllerOptions = {}): Promise<Controller> {
  refuseWhatIsNone(options)
  const keeps = outlives(options)
  const logger = options.logger ?? silentLogger
  const turns = new Turns()
  const drivers = driversOf(options)
  const deps = { drivers, defaults: defaultsOf(options, drivers), logger, turns }

  const driverPlugins = new DriverPlugins(options.plugins ?? {}, deps)
  const builtIn = defaultIpam({ pools: options.pools }, { logger })
  const ipam = new IpamRegistry([builtIn, nullIpam(), ...(options.ipam ?? [])], options.plugins ?? {}, logger)
  const changePools = (pools: readonly PoolBaseOptions[]): void => builtIn.changePools?.(pools)

  // Let go in the opposite order, whichever fails: the name last, so that a successor finds the host as it is left.
  const held = new Rollback()
  const room = makeRoomForDescriptors(DESCRIPTORS)
  held.defer('make room for descriptors', () => room)
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
    const meters = new Meters()
    const onEvent = (event: Happening): void => {
      meters.count(event)
      events.add(event)
    }
    const state = await records.load(turns)
    const absent = await driverPlugins.adopt(state.networks.map(({ record }) => record))
    const found = await survey(state, { ...deps, isSandbox, controllerId: id })
    const facts = [...found.facts, ...forwardingOf(stored)]
    const firewall = await openFirewallOf(options, { id, facts }, { logger, turns, onEvent })
    // Containers may live that need the rules, whether this opening succeeds or not.
    let isLeft = !found.isEmpty
    held.defer('open the firewall', () => (isLeft ? firewall.detach() : firewall.close()))
    const folder = createFolder(id, options.runtimeDirectory, held)
    const loopback = await openLoopbackPorts(
      options.userlandProxy ?? 'off',
      { folder, outlives: isKept(options) },
      { logger, onEvent },
    )
    held.defer('lead ports of ::1', () => loopback?.close())
    const ports = openPortAllocator(options.ports, { turns, ...loopback?.portDeps })
    held.defer('open the port allocator', () => ports.close())
    const forwarding: ForwardingMemory = {
      switchedOn: stored.forwarding,
      keep: (families) => records.keepController({ id, forwarding: families }),
    }
    const { drift } = options
    const executor = Executor.open({ owner: `net:${id}`, drift }, { firewall, forwarding, turns, logger, onEvent })
    held.defer('open the executor', () => executor.close())
    const { host, ...naming } = options.dns ?? {}
    const hostNames = host === undefined ? undefined : await openHostResolver(host, { logger })
    if (hostNames !== undefined) held.defer('answer the host', () => hostNames.close())
    const keys = new KeyDesk(folder, logger)
    held.defer('listen for keys', () => keys.close())
    const parts = {
      ...deps,
      driverPlugins,
      ipam,
      changePools,
      executor,
      ports,
      loopback,
      records,
      folder,
      keys,
      meters,
      naming: namingOf(naming, logger),
      hostNames,
    }
    const core = new Core(parts)
    held.defer('answer names', async () => {
      await using all = new Rollback()
      for (const { record, naming } of core.state.sandboxes.values()) all.defer(record.key, () => naming.detach())
    })
    for (const event of absent) onEvent(event)
    const tell = (event: RecoveryEvent): void => {
      logRecovery(logger, event)
      onEvent(event)
    }
    const lostPorts = new LostPorts(tell)
    held.defer('hold lost ports', () => lostPorts.close())
    await recover(core, found, { tell, lostPorts })
    if ([...core.state.sandboxes.values()].some(isAwaited)) await awaitKeys(core)
    isLeft = keeps
    logger.info({ controllerId: id }, 'controller opened')
    return new Controller(id, core, events, { keeps, release: () => held[Symbol.asyncDispose]() })
  } catch (error) {
    await held[Symbol.asyncDispose]()
    throw error
  }
}

function forwardingOf({ forwarding }: StoredController): FirewallFact[] {
  return forwarding.map((family) => ({ kind: 'forwarding', family }))
}

/** The packet rules, made of whatever they are to be made of. */
function openFirewallOf(
  { firewall, foreignFirewall }: ControllerOptions,
  { id, facts }: { readonly id: string; readonly facts: readonly FirewallFact[] },
  deps: FirewallDeps,
): Promise<TableFirewall> {
  return firewall === 'iptables'
    ? openIptablesFirewall({ prefix: `NET-${shortId(id)}`, facts }, deps)
    : openFirewall({ table: `net_${shortId(id)}`, owner: id, foreignFirewall, facts }, deps)
}

function refuseWhatIsNone(options: ControllerOptions): void {
  const { firewall = 'nftables', drift = 'repair', userlandProxy = 'off' } = options
  checkChoice('firewall', firewall, ['nftables', 'iptables'])
  checkChoice('drift', drift, ['off', 'report', 'repair'])
  checkChoice('userlandProxy', userlandProxy, ['auto', 'off'])
}

function checkChoice(member: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return
  throw new InvalidRequestError('controller', member, `expected ${choices.join(' or ')}, got ${JSON.stringify(value)}`)
}

function namingOf({ resolvConf, slots, ...resolver }: ControllerDnsOptions, logger: Logger): NamingDeps {
  return {
    host: new HostResolvConf(resolvConf ?? '/etc/resolv.conf', { logger }),
    bound: new BoundFiles(),
    slots: new FairSlots(slots ?? { total: 1024, each: 256 }),
    usualPorts: new UsualPorts(),
    resolver,
    past: new ResolverTotals(),
    logger,
  }
}

function driversOf(options: ControllerOptions): DriverRegistry {
  const drivers = new DriverRegistry()
  for (const driver of [bridgeDriver(), configDriver, ...(options.drivers ?? [])]) drivers.add(driver)
  return drivers
}

function defaultsOf(options: ControllerOptions, drivers: DriverRegistry): Defaults {
  return {
    driver: drivers.get(options.defaultDriver?.trim() ?? 'bridge').type,
    network: options.defaultNetwork?.trim(),
    gatewayNetwork: options.gatewayNetwork?.trim() ?? 'net_gateway',
  }
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
