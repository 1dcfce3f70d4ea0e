import {
  NETWORK_LINK_GROUP,
  type Firewall,
  type ExistingLink,
  type FirewallChange,
  type HostLink,
  type JoinPlan,
  type NetworkPlan,
} from '@net/driverapi'
import { ConntrackSocket, isOnLink, RouteSocket, type Link, type LinkStatistics } from '@net/netlink-ffi'
import { Rollback, silentLogger, Turns, type CallOptions, type Logger } from '@net/types'
import { adoptSandboxNamespace } from './adopt-namespace.ts'
import { refuseConflicts } from './address-conflicts.ts'
import { Announcer } from './announcer.ts'
import { Bridges } from './bridges.ts'
import type { DriftAnswer, DriftEvent } from './drift/drift-event.ts'
import { DriftWatch } from './drift/drift-watch.ts'
import { LinkNotFoundError } from './errors.ts'
import { ExistingLinks } from './existing-links.ts'
import { Forwarding, type ForwardingMemory } from './forwarding.ts'
import { compare, type Difference } from './inspect/compare.ts'
import type { HostReport } from './inspect/host-report.ts'
import { readHost, type Wanted } from './inspect/read-host.ts'
import { Interfaces } from './interfaces.ts'
import { NeighbourTable, type NeighboursEvent } from './neighbour-table.ts'
import { Reaper } from './reaper.ts'
import { createSandboxNamespace, deleteSandboxNamespace, inSandbox } from './sandbox-namespace.ts'
import { gatewaysBy, restoreDefaultRoutes, withdrawRoute } from './sandbox-routes.ts'
import { SandboxSettings } from './sandbox-settings.ts'
import { ServedRoutes } from './served-routes.ts'
import type { Program } from './spawn/messages.ts'
import type { SandboxProcess } from './spawn/sandbox-process.ts'
import { Spawner, type StartOptions } from './spawner.ts'
import { flowsOfChange, StaleFlows } from './stale-flows.ts'
import { readSysctl, writeSysctls } from './sysctl.ts'

/** What can be chosen about an {@link Executor}. */
export interface ExecutorOptions {
  /** Written on every link made, as its alias: whose it is. */
  readonly owner: string
  /** What to do when somebody else changes links of the host that plans made. @defaultValue `repair` */
  readonly drift?: DriftAnswer | undefined
}

/** What the wiring supplies to an {@link Executor}. All of it is borrowed: closing the executor leaves it open. */
export interface ExecutorDeps {
  readonly firewall: Firewall
  /** @defaultValue forgotten with the process */
  readonly forwarding?: ForwardingMemory | undefined
  readonly turns?: Turns | undefined
  readonly logger?: Logger | undefined
  /** Called with what happens to the host without our doing. @defaultValue nobody is told */
  readonly onEvent?: ((event: HostEvent) => void) | undefined
}

/** What an earlier process made. */
export interface Restored {
  readonly networks: readonly NetworkPlan[]
  readonly joins: readonly { readonly key: string; readonly plan: JoinPlan }[]
  /** What may have been begun and is not to be: what there is of it is deleted. @defaultValue nothing */
  readonly begun?: readonly JoinPlan[] | undefined
  /** Not everything that is wanted is known: nothing is deleted. */
  readonly keepStrangers: boolean
}

/** The links of the host as plans have them; those that stay by name. */
interface SortedLinks {
  readonly unfinished: readonly Link[]
  readonly strangers: readonly Link[]
  readonly known: ReadonlyMap<string, Link>
}

/** Something that happened to the host without our doing. */
export type HostEvent = DriftEvent | NeighboursEvent

/** What an executor speaks to the kernel through. */
interface Sockets {
  readonly routes: RouteSocket
  readonly forReaper: RouteSocket
  readonly conntrack: ConntrackSocket
}

/** Room for the descriptions of all links that the reaper looks at in one exchange, some 5 KB each. */
const REAPER_BUFFER_BYTES = 512 * 1024

/**
 * Carries plans out: the only place that touches links, namespaces and rules. Everything it does
 * is whole or undone, and steps of long work let the event loop turn.
 */
export class Executor {
  readonly #owner: string
  readonly #firewall: Firewall
  readonly #turns: Turns
  readonly #logger: Logger
  readonly #routes: RouteSocket
  readonly #bridges: Bridges
  readonly #interfaces: Interfaces
  readonly #existing: ExistingLinks
  readonly #conntrack: ConntrackSocket
  readonly #reaper: Reaper
  readonly #forwarding: Forwarding
  readonly #flows: StaleFlows
  readonly #announcer: Announcer
  /** Sandboxes that have nothing yet with which a plan could be in conflict. */
  readonly #empty = new Set<string>()
  /** Absent where it is off. */
  readonly #drift: DriftWatch | undefined
  readonly #watchDrift: (answer: Exclude<DriftAnswer, 'off'>) => DriftWatch
  readonly #neighbours: NeighbourTable
  readonly #tell: (event: HostEvent) => void
  readonly #served = new ServedRoutes()
  readonly #spawner = new Spawner()
  readonly #settings = new SandboxSettings()

  private constructor(
    { owner, drift = 'repair' }: ExecutorOptions,
    deps: ExecutorDeps,
    { routes, forReaper, conntrack }: Sockets,
  ) {
    this.#owner = owner
    this.#firewall = deps.firewall
    this.#turns = deps.turns ?? new Turns()
    this.#logger = deps.logger ?? silentLogger
    this.#routes = routes
    this.#bridges = new Bridges(routes, owner)
    const forSandboxes = { settings: this.#settings, logger: this.#logger }
    this.#interfaces = new Interfaces(routes, owner, forSandboxes)
    this.#existing = new ExistingLinks(routes, owner, forSandboxes)
    this.#conntrack = conntrack
    this.#reaper = new Reaper(forReaper, this.#logger)
    const listLinks = (): Promise<Link[]> => this.#listLinks()
    this.#forwarding = new Forwarding({ firewall: deps.firewall, listLinks, logger: this.#logger }, deps.forwarding)
    this.#flows = new StaleFlows(conntrack, this.#logger)
    this.#announcer = new Announcer(forSandboxes)
    const { onEvent: tell = () => undefined } = deps
    this.#tell = tell
    const hands = { routes, bridges: this.#bridges, interfaces: this.#interfaces, served: this.#served, owner }
    this.#watchDrift = (answer) => new DriftWatch({ ...hands, answer, tell, turns: this.#turns, logger: this.#logger })
    this.#drift = drift === 'off' ? undefined : this.#watchDrift(drift)
    this.#neighbours = new NeighbourTable({ tell, logger: this.#logger })
  }

  /** Opens it in the calling thread's network namespace: that is the host from then on. */
  static open(options: ExecutorOptions, deps: ExecutorDeps): Executor {
    const { logger } = deps
    const opened: { close(): void }[] = []
    const hold = <Socket extends { close(): void }>(socket: Socket): Socket => {
      opened.push(socket)
      return socket
    }
    try {
      return new Executor(options, deps, {
        routes: hold(RouteSocket.open({ logger })),
        forReaper: hold(RouteSocket.open({ logger, bufferBytes: REAPER_BUFFER_BYTES })),
        conntrack: hold(ConntrackSocket.open({ logger })),
      })
    } catch (error) {
      for (const socket of opened) socket.close()
      throw error
    }
  }

  /**
   * Makes what a network wants on the host, or leaves nothing behind.
   *
   * @throws InterfaceExistsError (`ERR_INTERFACE_EXISTS`), NotPermittedError (`ERR_NOT_PERMITTED`),
   *   SysctlError (`ERR_SYSCTL`), and what the firewall throws
   */
  async createNetwork(plan: NetworkPlan, call?: CallOptions): Promise<void> {
    await this.#turns.take(call)
    await using rollback = new Rollback()

    rollback.defer('switch forwarding on', () => this.#forwarding.putBack())
    const bridges = plan.links.map((link) => {
      if (link.kind === 'existing-bridge') return this.#bridges.take(link, rollback)
      const bridge = this.#bridges.create(link)
      rollback.defer(`create bridge ${link.name}`, () => this.#reaper.delete([bridge.index]))
      return bridge
    })
    rollback.defer('write settings', () => {
      writeSysctls(plan.restore ?? [])
    })
    await this.#forwarding.switchOn(plan.forwarding ?? [], call)
    writeSysctls(plan.sysctls)
    plan.links.forEach((link, at) => {
      this.#bridges.configure(link, bridges[at]?.index ?? 0)
    })
    await this.#addFacts(plan.firewall, rollback, call)

    rollback.commit()
    this.#drift?.addNetwork(
      plan,
      bridges.map(({ index }) => index),
    )
  }

  /** Unmakes a network; forwarding that was switched on here goes off with the last one. What is gone already is no error. */
  async deleteNetwork(plan: NetworkPlan): Promise<void> {
    await this.#turns.take()
    this.#drift?.removeNetwork(plan)
    // First: as long as they are otherwise, the rules are needed.
    writeSysctls((plan.restore ?? []).map((sysctl) => ({ ...sysctl, optional: true })))
    await this.#firewall.change({ remove: plan.firewall })
    for (const link of plan.links) if (link.kind === 'existing-bridge') this.#bridges.giveBack(link)
    await this.#deleteOwn(plan.links.filter(({ kind }) => kind === 'bridge').map(({ name }) => name))
    await this.#forwarding.putBack()
  }

  /**
   * Takes over what plans made before this process was there: links that are missing are made, those that nobody wants
   * are deleted, and all of it is told. The packet rules are those of the plans already.
   *
   * @returns the names of links that bore the owner's name and that no plan has: they are deleted
   * @throws SysctlError (`ERR_SYSCTL`), and what the firewall throws
   */
  async restore({ networks, joins, begun = [], keepStrangers }: Restored): Promise<string[]> {
    for (const { forwarding, sysctls } of networks) {
      await this.#turns.take()
      await this.#forwarding.switchOn(forwarding ?? [])
      // Those of a bridge that is missing are written when it is made.
      writeSysctls(sysctls.map((sysctl) => ({ ...sysctl, optional: true })))
    }
    const { unfinished, strangers, known } = this.#sortLinks(await this.#listLinks(), { networks, joins, begun })
    if (unfinished.length > 0) await this.#reaper.delete(unfinished.map(({ index }) => index))
    const indexesOf = (names: readonly string[]): number[] => names.map((name) => known.get(name)?.index ?? 0)
    const watch = this.#drift ?? this.#watchDrift('repair')
    for (const plan of networks) watch.addNetwork(plan, indexesOf(plan.links.map(({ name }) => name)))
    for (const { key, plan } of joins) {
      await this.#turns.take()
      watch.addJoin(key, plan, indexesOf(hostNamesOf(plan)))
      this.#served.add(key, plan.sandbox)
    }
    await watch.repair([...known.values()], this.#turns)
    if (watch !== this.#drift) watch.close()
    for (const { key, plan } of joins) {
      for (const link of plan.sandbox.existing ?? []) this.#restoreExisting(key, link, plan.sandbox)
    }
    if (keepStrangers || strangers.length === 0) return []
    await this.#reaper.delete(strangers.map(({ index }) => index))
    return strangers.map(({ name }) => name)
  }

  /** Makes the namespace of a sandbox at path `key`. @throws `ERR_SANDBOX_EXISTS`, `ERR_NOT_PERMITTED` */
  async createSandbox(key: string, call?: CallOptions): Promise<void> {
    await this.#turns.take(call)
    createSandboxNamespace(key, this.#logger)
    this.#empty.add(key)
  }

  /**
   * Has the sandbox at path `key` be the namespace that somebody else made at `from`. Deleting the sandbox lets it go.
   *
   * @throws `ERR_INVALID_NAMESPACE`, `ERR_SANDBOX_NOT_FOUND`, `ERR_SANDBOX_EXISTS`, `ERR_NOT_PERMITTED`
   */
  async adoptSandbox(from: string, key: string, call?: CallOptions): Promise<void> {
    await this.#turns.take(call)
    adoptSandboxNamespace(from, key, this.#logger)
  }

  /**
   * Takes a sandbox away together with what `plans` made in it. Its traffic ends before this resolves, and
   * its addresses can be given to others; its links vanish from the host shortly after, see {@link Executor.settle}.
   */
  async deleteSandbox(key: string, plans: readonly JoinPlan[]): Promise<void> {
    await this.#turns.take()
    for (const plan of plans) this.#drift?.removeJoin(plan)
    this.#drift?.removeSandbox(key)
    this.#announcer.forget(key)
    this.#served.removeSandbox(key)
    this.#empty.delete(key)
    const facts = plans.flatMap(({ firewall }) => firewall)
    if (facts.length > 0) await this.#firewall.change({ remove: facts })
    const links = this.#ownLinks(plans.flatMap(hostNamesOf))
    for (const link of links) this.#interfaces.silence(link)
    for (const { sandbox } of plans) if (sandbox.existing !== undefined) this.#saveExisting(key, sandbox.existing)
    deleteSandboxNamespace(key)
    this.#reaper.take(links.map(({ index }) => index))
    this.#flows.leave(plans.flatMap(({ sandbox }) => sandbox.links))
  }

  /**
   * Gives the sandbox at `key` what `plan` wants, or leaves nothing behind.
   *
   * @throws SandboxNotFoundError (`ERR_SANDBOX_NOT_FOUND`), InterfaceExistsError (`ERR_INTERFACE_EXISTS`),
   *   AddressConflictError (`ERR_ADDRESS_CONFLICT`), RouteExistsError (`ERR_ROUTE_EXISTS`),
   *   BridgeFullError (`ERR_BRIDGE_FULL`), LinkNotFoundError (`ERR_LINK_NOT_FOUND`), LinkInUseError
   *   (`ERR_LINK_IN_USE`), and what the firewall throws
   */
  async join(key: string, plan: JoinPlan, call?: CallOptions): Promise<void> {
    await using rollback = new Rollback()

    await this.#flows.whenEnded(plan.sandbox.links)
    if (!this.#empty.delete(key)) await refuseConflicts(key, plan.sandbox, { ...call, logger: this.#logger })
    const indexes: number[] = []
    for (const link of plan.sandbox.links) {
      await this.#turns.take(call)
      const near = this.#interfaces.create(key, link)
      rollback.defer(`create ${near.name}`, () => this.#reaper.delete([near.index]))
      indexes.push(near.index)

      await this.#turns.take(call)
      const index = this.#interfaces.configure(key, link, gatewaysBy(link.name, plan.sandbox))
      await this.#turns.take(call)
      // Last: a port of a bridge whose far end is up forwards at once, without waiting for its carrier.
      this.#interfaces.setUp(near, link.create)
      this.#announcer.announce(key, index, link)
      rollback.defer('announce', () => {
        this.#announcer.forget(key, link.name)
      })
    }
    await this.#takeExisting(key, plan.sandbox, rollback, call)
    await this.#addFacts(plan.firewall, rollback, call)
    this.#withdrawReplaced(key, plan.sandbox)

    rollback.commit()
    this.#served.add(key, plan.sandbox)
    this.#drift?.addJoin(key, plan, indexes)
    this.#neighbours.look()
  }

  /**
   * Takes away what `plan` made in the sandbox at `key`, which stays: existing links are on the host again. What is gone
   * already is no error.
   *
   * @throws InterfaceExistsError (`ERR_INTERFACE_EXISTS`) where the host has another link of an existing one's name
   */
  async leave(key: string, plan: JoinPlan): Promise<void> {
    await this.#turns.take()
    this.#drift?.removeJoin(plan)
    this.#served.remove(key, plan.sandbox)
    for (const { name } of plan.sandbox.links) this.#announcer.forget(key, name)
    if (plan.firewall.length > 0) await this.#firewall.change({ remove: plan.firewall })
    if (plan.sandbox.existing !== undefined) {
      for (const link of plan.sandbox.existing) this.#existing.giveBack(key, link)
      this.#flows.leave(plan.sandbox.existing)
    }
    await this.#deleteOwn(hostNamesOf(plan))
    this.#flows.leave(plan.sandbox.links)
  }

  /**
   * Deletes the existing links of `plan` that are on the host, since their maker was not there to take them back. One of
   * the name that has another MAC address is somebody else's by now.
   */
  async discard({ sandbox }: JoinPlan): Promise<void> {
    await this.#turns.take()
    const found = (sandbox.existing ?? []).flatMap(({ hostName, macAddress }) => {
      const link = this.#routes.findLink(hostName)
      return link !== undefined && link.macAddress === macAddress ? [link.index] : []
    })
    await this.#reaper.delete(found)
  }

  /** What has passed each interface of the sandbox at `key`, by its name. @throws `ERR_SANDBOX_NOT_FOUND` */
  async statistics(key: string): Promise<Map<string, LinkStatistics>> {
    await this.#turns.take()
    using inside = inSandbox(key, () => RouteSocket.open({ logger: this.#logger }))
    return await inside.listStatisticsOffLoop()
  }

  /**
   * Gives the sandbox at `key` the default routes of a plan, by links of it that are there, in the place of those of
   * other plans.
   *
   * @throws `ERR_SANDBOX_NOT_FOUND`, LinkNotFoundError (`ERR_LINK_NOT_FOUND`)
   */
  async addGateways(key: string, plan: JoinPlan['sandbox']): Promise<void> {
    await this.#turns.take()
    using inside = inSandbox(key, () => RouteSocket.open({ logger: this.#logger }))
    for (const { name } of [...plan.links, ...(plan.existing ?? [])]) {
      const gateways = gatewaysBy(name, plan)
      if (gateways.ipv4 === undefined && gateways.ipv6 === undefined) continue
      const link = inside.findLink(name)
      if (link === undefined) throw new LinkNotFoundError(name, undefined)
      restoreDefaultRoutes(inside, link.index, gateways)
    }
    this.#withdrawReplaced(key, plan)
    this.#served.add(key, plan)
  }

  /** Takes back the default route of another plan, before which that of this one has been put. */
  #withdrawReplaced(key: string, plan: JoinPlan['sandbox']): void {
    const replaced = this.#served.replacedBy(key, plan)
    if (replaced === undefined) return
    using inside = inSandbox(key, () => RouteSocket.open({ logger: this.#logger }))
    withdrawRoute(inside, replaced)
  }

  /**
   * What the kernel has of what is wanted, and where the two differ. Changes nothing, and lets the event loop turn: what
   * is done meanwhile may show as a difference.
   */
  async inspect(wanted: Omit<Wanted, 'owner' | 'leaving'>): Promise<{ host: HostReport; differences: Difference[] }> {
    const owned = { ...wanted, owner: this.#owner, leaving: this.#reaper.pending() }
    const facts = [
      ...wanted.networks.flatMap(({ firewall }) => firewall),
      ...wanted.joins.flatMap(({ plan }) => plan.firewall),
      ...this.#forwarding.facts(),
    ]
    const firewall = await this.#firewall.inspect?.(facts)
    const host = { ...(await readHost(owned, this.#routes, this.#turns)), firewall }
    return { host, differences: compare(owned, host) }
  }

  /** Starts a program in a sandbox. @throws SystemCallError (`ERR_SYSTEM_CALL`), ClosedError (`ERR_CLOSED`) */
  spawn(program: Program, options?: StartOptions): SandboxProcess {
    return this.#spawner.start(program, options)
  }

  /** A link of the host. */
  findHostLink(name: string): HostLink | undefined {
    const link = this.#routes.findLink(name)
    if (link === undefined) return undefined
    const addresses = this.#routes.listAddresses(link.index)
    return {
      kind: link.kind,
      macAddress: link.macAddress,
      addresses: addresses.map(({ address }) => address),
      owner: link.group === NETWORK_LINK_GROUP ? (link.alias ?? '') : undefined,
      routesLocalnet: readSysctl(`net/ipv4/conf/${name}/route_localnet`) === '1',
    }
  }

  /** The networks that the host has a link on, as CIDRs. */
  async hostPrefixes(call?: CallOptions): Promise<string[]> {
    using routes = RouteSocket.open({ logger: this.#logger })
    const all = await routes.listRoutesOffLoop(call)
    return all.filter(isOnLink).map(({ destination }) => destination)
  }

  /**
   * Adds and removes firewall facts, all or none. No packet comes through ports that are taken back once this resolves,
   * save those of TCP connections that are open, and those of flows that the kernel would not end: these are logged, and
   * end by themselves.
   */
  async changeFirewall(change: FirewallChange, call?: CallOptions): Promise<void> {
    await this.#turns.take(call)
    await this.#firewall.change(change, call)
    // The rules stand by now. Whoever is told of a failure lets ports go, or keeps them, as if they did not; and to put
    // rules back while an undoing takes them away would leave them to ports that are somebody else's a moment later.
    await this.#flows.tryEnd(flowsOfChange(change))
  }

  /** Resolves when the links of sandboxes that were taken away have vanished. */
  async settle(): Promise<void> {
    await this.#reaper.settle()
  }

  /** Waits for what goes on in the background, then closes the sockets. Safe to call twice. */
  async close(): Promise<void> {
    this.#spawner.close()
    this.#announcer.close()
    this.#drift?.close()
    await this.#reaper.close()
    await this.#flows.settle()
    this.#conntrack.close()
    this.#routes.close()
    await this.#settings.close()
  }

  async #takeExisting(key: string, plan: JoinPlan['sandbox'], rollback: Rollback, call?: CallOptions): Promise<void> {
    const { existing } = plan
    if (existing === undefined) return
    await this.#flows.whenEnded(existing)
    for (const link of existing) {
      await this.#turns.take(call)
      this.#existing.take(key, link, gatewaysBy(link.name, plan))
      rollback.defer(`move ${link.hostName}`, () => {
        this.#existing.giveBack(key, link)
      })
    }
  }

  #restoreExisting(key: string, link: ExistingLink, plan: JoinPlan['sandbox']): void {
    const event = { kind: 'drift', what: 'interface-deleted', subject: link.name, sandbox: key } as const
    try {
      const found = this.#existing.restore(key, link, gatewaysBy(link.name, plan))
      // Its maker alone can make it again.
      if (found === 'missing') this.#tell({ ...event, detail: link.hostName, outcome: 'lost' })
    } catch (error) {
      this.#tell({ ...event, detail: link.hostName, outcome: 'lost', error: error as Error })
    }
  }

  /** Before their namespace goes, and they with it. */
  #saveExisting(key: string, existing: readonly ExistingLink[]): void {
    for (const link of existing) {
      try {
        this.#existing.giveBack(key, link)
      } catch (error) {
        this.#logger.warn({ err: error, key, link: link.hostName }, 'link could not be given back to the host')
      }
    }
    this.#flows.leave(existing)
  }

  async #addFacts(facts: FirewallChange['add'] & object, rollback: Rollback, call?: CallOptions): Promise<void> {
    if (facts.length === 0) return
    await this.#turns.take(call)
    await this.#firewall.change({ add: facts }, call)
    rollback.defer('add firewall facts', () => this.#firewall.change({ remove: facts }))
    await this.#flows.end(flowsOfChange({ add: facts }))
  }

  async #deleteOwn(names: readonly string[]): Promise<void> {
    await this.#reaper.delete(this.#ownLinks(names).map(({ index }) => index))
  }

  async #listLinks(): Promise<Link[]> {
    using routes = RouteSocket.open({ logger: this.#logger })
    return await routes.listLinksOffLoop()
  }

  /**
   * What the host's links are to plans. An earlier process that was making one when it died did not finish it: a link
   * goes up last, and bears our name from shortly after it is made. Where the host's end of an interface is down, nobody
   * knows what the sandbox has of it. Links that bear our name and that no plan has are strangers.
   */
  #sortLinks(
    links: readonly Link[],
    {
      networks,
      joins,
      begun,
    }: Required<Pick<Restored, 'networks' | 'joins'>> & { readonly begun: readonly JoinPlan[] },
  ): SortedLinks {
    const bridges = new Set(networks.flatMap(({ links }) => links.map(({ name }) => name)))
    const ports = new Set(joins.flatMap(({ plan }) => hostNamesOf(plan)))
    const begunPorts = new Set(begun.flatMap(hostNamesOf))
    const isUnfinished = ({ name, kind, alias, group, up }: Link): boolean => {
      if (begunPorts.has(name) && kind === 'veth' && alias === this.#owner) return true
      if (up) return false
      if (begunPorts.has(name) && kind === 'veth') return alias === undefined
      if (kind === 'veth') return ports.has(name) && (alias === undefined || alias === this.#owner)
      return kind === 'bridge' && bridges.has(name) && alias === undefined && group === NETWORK_LINK_GROUP
    }
    const sorted = { unfinished: [] as Link[], strangers: [] as Link[], known: new Map<string, Link>() }
    for (const link of links) {
      if (isUnfinished(link)) sorted.unfinished.push(link)
      else if (link.alias === this.#owner && !bridges.has(link.name) && !ports.has(link.name))
        sorted.strangers.push(link)
      else sorted.known.set(link.name, link)
    }
    return sorted
  }

  /** The links of these names that are there and ours: a name may have passed to somebody else. */
  #ownLinks(names: readonly string[]): Link[] {
    return names.map((name) => this.#routes.findLink(name)).filter((link): link is Link => link?.alias === this.#owner)
  }
}

/** Names of the host's ends of what a plan makes. */
function hostNamesOf({ sandbox }: JoinPlan): string[] {
  return sandbox.links.map(({ create }) => create.hostName)
}
