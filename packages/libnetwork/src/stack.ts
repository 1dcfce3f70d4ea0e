import { bridgeDriver } from '@net/drivers-bridge'
import { DriverRegistry, type FirewallFact } from '@net/driverapi'
import { defaultIpam, nullIpam, type PoolBaseOptions } from '@net/ipam'
import { holdName, isNameHeld, makeRoomForDescriptors, type HeldName } from '@net/netlink-ffi'
import { Executor, isSandbox, type ForwardingMemory } from '@net/osl'
import { BoundFiles, FairSlots, UsualPorts } from '@net/resolver'
import { openPortAllocator } from '@net/portallocator'
import { Rollback, silentLogger, Turns, type Logger } from '@net/types'
import { Controller } from './controller.ts'
import { checkControllerOptions, type ControllerDnsOptions, type ControllerOptions } from './controller-options.ts'
import { checkDefaultDriver, configDriver } from './config-networks.ts'
import { Core, type Defaults } from './core.ts'
import { DriverPlugins } from './driver-plugins.ts'
import { ControllerRunningError } from './errors.ts'
import { EventLog, type Happening } from './events.ts'
import { isAwaited } from './gateways.ts'
import { IpamRegistry } from './ipam-registry.ts'
import { awaitKeys } from './keys/set-key.ts'
import { KeyDesk } from './keys/key-desk.ts'
import { openLoopbackPorts } from './loopback/loopback-ports.ts'
import { Meters } from './metrics/meters.ts'
import { ResolverTotals } from './metrics/resolver-totals.ts'
import { openHostResolver } from './names/host-resolver.ts'
import { HostResolvConf } from './names/host-resolv-conf.ts'
import type { NamingDeps } from './names/sandbox-naming.ts'
import { openPacketRules, removeOtherRules } from './packet-rules.ts'
import { recover } from './records/recover.ts'
import { LostPorts } from './records/lost-ports.ts'
import { logRecovery, type RecoveryEvent } from './records/recovery-events.ts'
import { isKept, openStore, outlives } from './records/open-store.ts'
import { Records } from './records/records.ts'
import type { StoredController } from './records/stored-forms.ts'
import { survey } from './records/survey.ts'
import { createFolder } from './runtime-folder.ts'

/** Room for those of a thousand sandboxes, with resolvers and ports: see {@link makeRoomForDescriptors}. */
const DESCRIPTORS = 4096

/**
 * Opens a controller with the full stack, on the network namespace of the calling thread: its host.
 *
 * @throws `ERR_INVALID_REQUEST`, `ERR_NOT_PERMITTED`, `ERR_FIREWALL_UNSUPPORTED`, `ERR_RUNTIME_DIRECTORY`,
 *   `ERR_CONTROLLER_RUNNING` (with the other process' id), `ERR_CONTROLLER_RECORD`,
 *   and what opening the store throws (`ERR_STORE_DAMAGED`, …)
 */
export async function openController(options: ControllerOptions = {}): Promise<Controller> {
  checkControllerOptions(options)
  const keeps = outlives(options)
  const logger = options.logger ?? silentLogger
  const turns = new Turns()
  const drivers = driversOf(options)
  const deps = { drivers, defaults: defaultsOf(options), logger, turns }

  const driverPlugins = new DriverPlugins(options.plugins ?? {}, deps)
  const builtIn = defaultIpam({ pools: options.pools }, { logger })
  const ipam = new IpamRegistry([builtIn, nullIpam()], options.ipam ?? [], { plugins: options.plugins ?? {}, logger })
  if (options.pools !== undefined) ipam.checkPools('controller')
  const changePools = (pools: readonly PoolBaseOptions[]): void => {
    ipam.checkPools('configuration')
    builtIn.changePools?.(pools)
  }

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
    // What there may be rules of, until they are removed: whoever opens it next is to know.
    let hasRulesOf = options.firewall === 'iptables' ? options.firewall : stored.firewall
    const keepOwn = (families: StoredController['forwarding']): Promise<void> =>
      records.keepController({ id, forwarding: families, firewall: hasRulesOf })
    if (stored.firewall !== hasRulesOf) await keepOwn(stored.forwarding)
    const firewall = await openPacketRules(options, { id, facts }, { logger, turns, onEvent })
    // Containers may live that need the rules, whether this opening succeeds or not.
    let isLeft = !found.isEmpty
    held.defer('open the firewall', () => (isLeft ? firewall.detach() : firewall.close()))
    if (isKept(options) && (await removeOtherRules(options, stored, logger))) {
      hasRulesOf = undefined
      await keepOwn(stored.forwarding)
    }
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
      keep: keepOwn,
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
      tell: onEvent,
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
    await room
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

function defaultsOf(options: ControllerOptions): Defaults {
  const driver = options.defaultDriver?.trim() ?? 'bridge'
  checkDefaultDriver('controller', driver)
  return {
    driver,
    network: options.defaultNetwork?.trim(),
    gatewayNetwork: options.gatewayNetwork?.trim() ?? 'net_gateway',
  }
}

function holdControllerName(name: string): HeldName {
  try {
    return holdName(`net/${name}`)
  } catch (cause) {
    throw isNameHeld(cause) ? new ControllerRunningError(name, cause.pid, cause) : cause
  }
}
