import { closeSync } from 'node:fs'
import {
  NETWORK_LINK_GROUP,
  type BridgeLink,
  type ExistingBridge,
  type Firewall,
  type FirewallChange,
  type HostLink,
  type JoinPlan,
  type NetworkPlan,
  type SandboxLink,
  type VethLink,
} from '@net/driverapi'
import {
  addAddress,
  addRoute,
  ConntrackSocket,
  deleteAddress,
  filterBridge,
  isErrno,
  isOnLink,
  makeDormant,
  replaceRoute,
  RouteSocket,
  setBridgePort,
  setBridgePortUp,
  setLink,
  setNeighbour,
  type Link,
  type LinkStatistics,
  type NetlinkMessage,
} from '@net/netlink-ffi'
import { Rollback, silentLogger, Turns, type CallOptions, type Logger } from '@net/types'
import { Announcer } from './announcer.ts'
import { isFilteringBridges } from './bridge-filtering.ts'
import { InterfaceExistsError, LinkNotFoundError } from './errors.ts'
import { explainRefusal } from './explain.ts'
import { Forwarding } from './forwarding.ts'
import { Reaper } from './reaper.ts'
import { createSandboxNamespace, deleteSandboxNamespace, inSandbox, openSandboxNamespace } from './sandbox-namespace.ts'
import { flowsOfChange, StaleFlows } from './stale-flows.ts'
import { readSysctl, writeSysctls } from './sysctl.ts'

/** What can be chosen about an {@link Executor}. */
export interface ExecutorOptions {
  /** Written on every link made, as its alias: whose it is. */
  readonly owner: string
}

/** What the wiring supplies to an {@link Executor}. All of it is borrowed: closing the executor leaves it open. */
export interface ExecutorDeps {
  readonly firewall: Firewall
  readonly turns?: Turns | undefined
  readonly logger?: Logger | undefined
}

/** What an executor speaks to the kernel through. */
interface Sockets {
  readonly routes: RouteSocket
  readonly forReaper: RouteSocket
  readonly conntrack: ConntrackSocket
}

/** The host's end of a veth, and the index of the bridge that it is a port of. */
interface NearEnd {
  readonly name: string
  readonly index: number
  readonly bridge: number
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
  readonly #conntrack: ConntrackSocket
  readonly #reaper: Reaper
  readonly #forwarding: Forwarding
  readonly #flows: StaleFlows
  readonly #announcer: Announcer

  private constructor(owner: string, deps: ExecutorDeps, { routes, forReaper, conntrack }: Sockets) {
    this.#owner = owner
    this.#firewall = deps.firewall
    this.#turns = deps.turns ?? new Turns()
    this.#logger = deps.logger ?? silentLogger
    this.#routes = routes
    this.#conntrack = conntrack
    this.#reaper = new Reaper(forReaper, this.#logger)
    this.#forwarding = new Forwarding(deps.firewall, routes, this.#logger)
    this.#flows = new StaleFlows(conntrack, this.#logger)
    this.#announcer = new Announcer(this.#logger)
  }

  /** Opens it in the calling thread's network namespace: that is the host from then on. */
  static open(options: ExecutorOptions, deps: ExecutorDeps): Executor {
    const { logger } = deps
    return new Executor(options.owner, deps, {
      routes: RouteSocket.open({ logger }),
      forReaper: RouteSocket.open({ logger, bufferBytes: REAPER_BUFFER_BYTES }),
      conntrack: ConntrackSocket.open({ logger }),
    })
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
      if (link.kind === 'existing-bridge') return this.#takeBridge(link, rollback)
      const bridge = this.#createBridge(link)
      rollback.defer(`create bridge ${link.name}`, () => this.#reaper.delete([bridge.index]))
      return bridge
    })
    rollback.defer('write settings', () => {
      writeSysctls(plan.restore ?? [])
    })
    await this.#forwarding.switchOn(plan.forwarding ?? [], call)
    writeSysctls(plan.sysctls)
    plan.links.forEach((link, at) => {
      this.#configureBridge(link, bridges[at]?.index ?? 0)
    })
    await this.#addFacts(plan.firewall, rollback, call)

    rollback.commit()
  }

  /** Unmakes a network; forwarding that was switched on here goes off with the last one. What is gone already is no error. */
  async deleteNetwork(plan: NetworkPlan): Promise<void> {
    await this.#turns.take()
    // First: as long as they are otherwise, the rules are needed.
    writeSysctls((plan.restore ?? []).map((sysctl) => ({ ...sysctl, optional: true })))
    await this.#firewall.change({ remove: plan.firewall })
    for (const link of plan.links) if (link.kind === 'existing-bridge') this.#giveBack(link)
    await this.#deleteOwn(plan.links.filter(({ kind }) => kind === 'bridge').map(({ name }) => name))
    await this.#forwarding.putBack()
  }

  /** Makes the namespace of a sandbox at path `key`. @throws `ERR_SANDBOX_EXISTS`, `ERR_NOT_PERMITTED` */
  async createSandbox(key: string, call?: CallOptions): Promise<void> {
    await this.#turns.take(call)
    createSandboxNamespace(key, this.#logger)
  }

  /**
   * Takes a sandbox away together with what `plans` made in it. Its traffic ends before this resolves, and
   * its addresses can be given to others; its links vanish from the host shortly after, see {@link Executor.settle}.
   */
  async deleteSandbox(key: string, plans: readonly JoinPlan[]): Promise<void> {
    await this.#turns.take()
    const facts = plans.flatMap(({ firewall }) => firewall)
    if (facts.length > 0) await this.#firewall.change({ remove: facts })
    const links = this.#ownLinks(plans.flatMap(({ sandbox }) => sandbox.links.map(({ create }) => create.hostName)))
    for (const link of links) this.#silence(link)
    deleteSandboxNamespace(key)
    this.#reaper.take(links.map(({ index }) => index))
    this.#flows.leave(plans.flatMap(({ sandbox }) => sandbox.links))
  }

  /**
   * Gives the sandbox at `key` what `plan` wants, or leaves nothing behind.
   *
   * @throws SandboxNotFoundError (`ERR_SANDBOX_NOT_FOUND`), InterfaceExistsError (`ERR_INTERFACE_EXISTS`),
   *   BridgeFullError (`ERR_BRIDGE_FULL`), LinkNotFoundError (`ERR_LINK_NOT_FOUND`), and what the firewall throws
   */
  async join(key: string, plan: JoinPlan, call?: CallOptions): Promise<void> {
    await using rollback = new Rollback()

    await this.#flows.whenEnded(plan.sandbox.links)
    for (const link of plan.sandbox.links) {
      await this.#turns.take(call)
      const near = this.#createVeth(key, link)
      rollback.defer(`create ${near.name}`, () => this.#reaper.delete([near.index]))

      await this.#turns.take(call)
      this.#configureInside(key, link, plan.sandbox.gateways)
      // Last: a port of a bridge whose far end is up forwards at once, without waiting for its carrier.
      this.#routes.apply(...portUp(near, link.create))
      this.#announcer.announce(key, link)
    }
    await this.#addFacts(plan.firewall, rollback, call)

    rollback.commit()
  }

  /** Takes away what `plan` made in a sandbox that stays. What is gone already is no error. */
  async leave(plan: JoinPlan): Promise<void> {
    await this.#turns.take()
    if (plan.firewall.length > 0) await this.#firewall.change({ remove: plan.firewall })
    await this.#deleteOwn(plan.sandbox.links.map(({ create }) => create.hostName))
    this.#flows.leave(plan.sandbox.links)
  }

  /** What has passed each interface of the sandbox at `key`, by its name. @throws `ERR_SANDBOX_NOT_FOUND` */
  async statistics(key: string): Promise<Map<string, LinkStatistics>> {
    await this.#turns.take()
    using inside = inSandbox(key, () => RouteSocket.open({ logger: this.#logger }))
    return inside.listStatistics()
  }

  /** Gives the sandbox at `key` default routes, in the place of those it has. @throws `ERR_SANDBOX_NOT_FOUND` */
  async addGateways(key: string, gateways: JoinPlan['sandbox']['gateways']): Promise<void> {
    await this.#turns.take()
    using inside = inSandbox(key, () => RouteSocket.open({ logger: this.#logger }))
    inside.apply(...defaultRoutes(gateways))
  }

  /** A link of the host. */
  findHostLink(name: string): HostLink | undefined {
    const link = this.#routes.findLink(name)
    if (link === undefined) return undefined
    const addresses = this.#routes.listAddresses().filter(({ index }) => index === link.index)
    return {
      kind: link.kind,
      addresses: addresses.map(({ address }) => address),
      owner: link.group === NETWORK_LINK_GROUP ? (link.alias ?? '') : undefined,
      routesLocalnet: readSysctl(`net/ipv4/conf/${name}/route_localnet`) === '1',
    }
  }

  /** The networks that the host has a link on, as CIDRs. */
  hostPrefixes(): string[] {
    return this.#routes
      .listRoutes()
      .filter(isOnLink)
      .map(({ destination }) => destination)
  }

  /** Adds and removes firewall facts, all or none. No packet comes through ports that are taken back once this resolves, save those of TCP connections that are open. */
  async changeFirewall(change: FirewallChange, call?: CallOptions): Promise<void> {
    await this.#turns.take(call)
    await this.#firewall.change(change, call)
    await this.#flows.end(flowsOfChange(change))
  }

  /** Resolves when the links of sandboxes that were taken away have vanished. */
  async settle(): Promise<void> {
    await this.#reaper.settle()
  }

  /** Waits for what goes on in the background, then closes the sockets. Safe to call twice. */
  async close(): Promise<void> {
    this.#announcer.close()
    await this.#reaper.close()
    await this.#flows.settle()
    this.#conntrack.close()
    this.#routes.close()
  }

  #createBridge(link: BridgeLink): Link {
    const { kind, name, macAddress } = link
    try {
      return this.#routes.createLink({ kind, name, macAddress, alias: this.#owner, group: NETWORK_LINK_GROUP })
    } catch (cause) {
      throw explainRefusal(cause, link)
    }
  }

  /** Uses a bridge of somebody else's. */
  #takeBridge(link: ExistingBridge, rollback: Rollback): Link {
    const bridge = this.#routes.findLink(link.name)
    if (bridge === undefined) throw new LinkNotFoundError(link.name, undefined)
    if (bridge.kind !== 'bridge') throw new InterfaceExistsError(link.name, undefined)
    rollback.defer(`use bridge ${link.name}`, () => {
      this.#giveBack(link)
    })
    return bridge
  }

  /** Leaves it as it was, and up. What somebody undid meanwhile is no error. */
  #giveBack(link: ExistingBridge): void {
    const bridge = this.#routes.findLink(link.name)
    if (bridge === undefined) return
    for (const address of link.addresses) {
      try {
        this.#routes.apply(deleteAddress({ index: bridge.index, address }))
      } catch (error) {
        if (!isErrno(error, 'EADDRNOTAVAIL', 'ENODEV')) throw error
      }
    }
    this.#routes.apply(setLink(bridge.index, { group: 0 }))
  }

  #configureBridge(link: BridgeLink | ExistingBridge, index: number): void {
    const addresses = link.addresses.map((address) => addAddress({ index, address }))
    if (link.kind === 'existing-bridge') {
      this.#routes.apply(...addresses, setLink(index, { group: NETWORK_LINK_GROUP, up: true }))
      return
    }
    // The MTU only now: one that a bridge was made with gives way to its ports', one that is set later does not.
    this.#routes.apply(...addresses, setLink(index, { mtu: link.mtu, up: true }))
  }

  #createVeth(key: string, link: SandboxLink): NearEnd {
    const { hostName, master } = link.create
    const bridge = this.#routes.findLink(master)
    if (bridge === undefined) throw new LinkNotFoundError(master, undefined)
    const namespaceFd = openSandboxNamespace(key)
    try {
      const { name, index } = this.#routes.createLink({
        kind: 'veth',
        name: hostName,
        mtu: link.mtu,
        master: bridge.index,
        alias: this.#owner,
        peer: { name: link.name, macAddress: link.macAddress, mtu: link.mtu, namespaceFd },
      })
      return { name, index, bridge: bridge.index }
    } catch (cause) {
      throw explainRefusal(cause, { name: hostName, kind: 'veth', master })
    } finally {
      closeSync(namespaceFd)
    }
  }

  #configureInside(key: string, link: SandboxLink, gateways: JoinPlan['sandbox']['gateways']): void {
    using inside = inSandbox(key, () => {
      writeSysctls(link.sysctls)
      return RouteSocket.open({ logger: this.#logger })
    })
    const { index } = inside.getLink(link.name)
    inside.apply(
      setLink(index, { up: true }),
      ...link.addresses.map((address) => addAddress({ index, address })),
      ...link.routes.map(({ destination, gateway }) => addRoute({ destination, gateway, index })),
      ...link.neighbours.map(({ address, macAddress }) => setNeighbour({ index, address, macAddress })),
      ...defaultRoutes(gateways),
    )
  }

  async #addFacts(facts: FirewallChange['add'] & object, rollback: Rollback, call?: CallOptions): Promise<void> {
    if (facts.length === 0) return
    await this.#turns.take(call)
    await this.#firewall.change({ add: facts }, call)
    rollback.defer('add firewall facts', () => this.#firewall.change({ remove: facts }))
    await this.#flows.end(flowsOfChange({ add: facts }))
  }

  /**
   * Takes a veth off its bridge at once; deleting it, or taking it down, takes the kernel its time. Dormant, so
   * that the port stays disabled when what still runs in the sandbox takes the far end down and up again.
   */
  #silence(link: Link): void {
    try {
      this.#routes.apply(makeDormant(link.index), setBridgePort(link.index, { state: 'disabled' }))
    } catch (error) {
      // Gone meanwhile, or taken off the bridge by somebody.
      if (!isErrno(error, 'ENODEV', 'EINVAL', 'EOPNOTSUPP')) throw error
    }
  }

  async #deleteOwn(names: readonly string[]): Promise<void> {
    await this.#reaper.delete(this.#ownLinks(names).map(({ index }) => index))
  }

  /** The links of these names that are there and ours: a name may have passed to somebody else. */
  #ownLinks(names: readonly string[]): Link[] {
    return names.map((name) => this.#routes.findLink(name)).filter((link): link is Link => link?.alias === this.#owner)
  }
}

/** Sets the host's end of a veth up. */
function portUp({ index, bridge }: NearEnd, { isolated, hairpin }: VethLink): NetlinkMessage[] {
  if (isolated !== true) return [setBridgePortUp(index, { hairpin })]
  // Where frames on bridges pass the packet rules, these separate containers. An isolated port would keep them from
  // ports that their neighbours publish, too: the kernel bridges what it translated. The bridge stays with the rules.
  if (isFilteringBridges()) return [filterBridge(bridge), setBridgePortUp(index, { hairpin })]
  return [setBridgePortUp(index, { hairpin, isolated })]
}

/** They take the place of those that another endpoint served. */
function defaultRoutes({ ipv4, ipv6 }: JoinPlan['sandbox']['gateways']): NetlinkMessage[] {
  return [
    ...(ipv4 === undefined ? [] : [replaceRoute({ destination: '0.0.0.0/0', gateway: ipv4 })]),
    ...(ipv6 === undefined ? [] : [replaceRoute({ destination: '::/0', gateway: ipv6 })]),
  ]
}
