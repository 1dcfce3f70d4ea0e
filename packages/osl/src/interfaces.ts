import { closeSync } from 'node:fs'
import type { JoinPlan, SandboxLink, VethLink } from '@net/driverapi'
import {
  addAddress,
  addRoute,
  filterBridge,
  findInterfaceIndex,
  isErrno,
  makeDormant,
  replaceRoute,
  RouteSocket,
  type InterfaceAddress,
  setBridgePort,
  setBridgePortUp,
  setLink,
  setNeighbour,
  type Link,
  type NetlinkMessage,
} from '@net/netlink-ffi'
import type { Logger } from '@net/types'
import { canFilterBridges, isFilteringBridges } from './bridge-filtering.ts'
import { BridgeFilteringUnsupportedError, LinkNotFoundError, SysctlError } from './errors.ts'
import { explainRefusal } from './explain.ts'
import { inSandbox, openSandboxNamespace } from './sandbox-namespace.ts'
import { defaultRoutes, explainRoutes, restoreDefaultRoutes } from './sandbox-routes.ts'
import type { SandboxDeps, SandboxSettings } from './sandbox-settings.ts'

/** The host's end of a veth, and the index of the bridge that it is a port of. */
export interface NearEnd {
  readonly name: string
  readonly index: number
  readonly bridge: number
}

/** The interfaces of sandboxes: veths, with one end on a bridge of the host. */
export class Interfaces {
  readonly #routes: RouteSocket
  readonly #owner: string
  readonly #settings: SandboxSettings
  readonly #logger: Logger

  /** `routes` is borrowed. */
  constructor(routes: RouteSocket, owner: string, { settings, logger }: SandboxDeps) {
    this.#routes = routes
    this.#owner = owner
    this.#settings = settings
    this.#logger = logger
  }

  /** Makes a veth whose far end is born in the sandbox, under its final name. */
  create(key: string, link: SandboxLink): NearEnd {
    const { hostName, master, group } = link.create
    const bridge = findInterfaceIndex(master)
    if (bridge === undefined) throw new LinkNotFoundError(master, undefined)
    const namespaceFd = openSandboxNamespace(key)
    try {
      const { name, index } = this.#routes.createLink({
        kind: 'veth',
        name: hostName,
        mtu: link.mtu,
        master: bridge,
        alias: this.#owner,
        group,
        // One that nobody asks for, and whose making (RFC 4862, RFC 3810) costs the kernel more than the interface.
        isWithoutIpv6Address: true,
        peer: { name: link.name, macAddress: link.macAddress, mtu: link.mtu, namespaceFd },
      })
      return { name, index, bridge }
    } catch (cause) {
      // The kernel does not say which of the two names is taken.
      const isFree = isErrno(cause, 'EEXIST') && this.#routes.findLink(hostName) === undefined
      throw explainRefusal(cause, { name: isFree ? link.name : hostName, kind: 'veth', master })
    } finally {
      closeSync(namespaceFd)
    }
  }

  /**
   * Gives an interface that was just made what it is to have.
   *
   * @returns its index in the sandbox
   * @throws RouteExistsError (`ERR_ROUTE_EXISTS`)
   */
  configure(key: string, link: SandboxLink, gateways: JoinPlan['sandbox']['gateways']): number {
    const { index, routes } = inSandbox(key, () => {
      this.#settings.write(link.sysctls)
      return { index: findInterfaceIndex(link.name), routes: RouteSocket.open({ logger: this.#logger }) }
    })
    using inside = routes
    if (index === undefined) throw new LinkNotFoundError(link.name, undefined)
    try {
      inside.apply(
        // In this order: the kernel makes an address when the link goes up.
        ...(link.linkLocalAddress === undefined ? [] : [setLink(index, { isWithoutIpv6Address: true })]),
        setLink(index, { up: true }),
        ...addressesOf(link).map((address) => addAddress({ index, address })),
        ...link.routes.map(({ destination, gateway }) => addRoute({ destination, gateway, index })),
        ...link.neighbours.map(({ address, macAddress }) => setNeighbour({ index, address, macAddress })),
        ...defaultRoutes(index, gateways),
      )
    } catch (cause) {
      throw explainRoutes(cause, link)
    }
    return index
  }

  /** Gives an interface of a sandbox back what it lost of its plan; what else it has stays. */
  restore(key: string, link: SandboxLink, gateways: JoinPlan['sandbox']['gateways']): void {
    using inside = inSandbox(key, () => RouteSocket.open({ logger: this.#logger }))
    const { index } = inside.getLink(link.name)
    const missing = missingAddresses(inside.listAddresses(index), link)
    inside.apply(
      setLink(index, { up: true }),
      ...missing.map((address) => addAddress({ index, address })),
      ...link.routes.map(({ destination, gateway }) => replaceRoute({ destination, gateway, index })),
      ...link.neighbours.map(({ address, macAddress }) => setNeighbour({ index, address, macAddress })),
    )
    restoreDefaultRoutes(inside, index, gateways)
  }

  /** Sets the host's end up. */
  setUp(near: NearEnd, link: VethLink): void {
    this.#disableIpv6(near.name)
    this.#routes.apply(...portUp(near, link))
  }

  /** Ties an interface that is there to its bridge again. */
  attach({ name, index, link }: { name: string; index: number; link: SandboxLink }, bridge: number): void {
    this.#routes.apply(setLink(index, { master: bridge }), ...portUp({ name, index, bridge }, link.create))
  }

  /**
   * What comes in by a port of a bridge is the bridge's: the port itself has no use for IPv6, of which it would be given
   * routes, groups and timers when it comes up, among those of all others. Where it may not be disabled, it has them.
   */
  #disableIpv6(name: string): void {
    try {
      this.#settings.write([{ path: `net/ipv6/conf/${name}/disable_ipv6`, value: '1', optional: true }])
    } catch (error) {
      if (!(error instanceof SysctlError)) throw error
    }
  }

  /**
   * Takes a veth off its bridge at once; deleting it, or taking it down, takes the kernel its time. Dormant, so
   * that the port stays disabled when what still runs in the sandbox takes the far end down and up again.
   */
  silence(link: Link): void {
    try {
      // In this order: of a port that is not disabled yet, dormancy has the bridge work out its tree anew.
      this.#routes.apply(setBridgePort(link.index, { state: 'disabled' }), makeDormant(link.index))
    } catch (error) {
      // Gone meanwhile, or taken off the bridge or down by somebody.
      if (!isErrno(error, 'ENODEV', 'EINVAL', 'EOPNOTSUPP', 'ENETDOWN')) throw error
    }
  }
}

/** Sets the host's end of a veth up. */
function portUp({ index, bridge }: NearEnd, { isolated, filtered, hairpin }: VethLink): NetlinkMessage[] {
  if (isolated !== true) return [setBridgePortUp(index, { hairpin })]
  // Where frames on bridges pass the packet rules, these separate containers. An isolated port would keep them from
  // ports that their neighbours publish, too: the kernel bridges what it translated. The bridge stays with the rules.
  if (filtered === true && !canFilterBridges()) throw new BridgeFilteringUnsupportedError()
  if (filtered === true || isFilteringBridges()) return [filterBridge(bridge), setBridgePortUp(index, { hairpin })]
  return [setBridgePortUp(index, { hairpin, isolated })]
}

/** All that a link is to have, in the order in which they are added. */
export function addressesOf({
  addresses,
  linkLocalAddress,
}: Pick<SandboxLink, 'addresses' | 'linkLocalAddress'>): string[] {
  return linkLocalAddress === undefined ? [...addresses] : [...addresses, linkLocalAddress]
}

/** The addresses that a link is to have, and does not where it has those of `there`. */
export function missingAddresses(
  there: readonly InterfaceAddress[],
  link: Pick<SandboxLink, 'addresses' | 'linkLocalAddress'>,
): string[] {
  return addressesOf(link).filter((wanted) => !there.some(({ address }) => address === wanted))
}
