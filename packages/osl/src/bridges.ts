import { NETWORK_LINK_GROUP, type BridgeLink, type ExistingBridge } from '@net/driverapi'
import { addAddress, deleteAddress, isErrno, setLink, type Link, type RouteSocket } from '@net/netlink-ffi'
import type { Rollback } from '@net/types'
import { BridgeGroupedError, InterfaceExistsError, LinkNotFoundError } from './errors.ts'
import { explainRefusal } from './explain.ts'

/** INIT_NETDEV_GROUP, linux/netdevice.h: where links are that nobody put into one. */
const NO_GROUP = 0

/** The bridges of networks: those that are made for them, and those that somebody else made. */
export class Bridges {
  readonly #routes: RouteSocket
  readonly #owner: string

  /** `routes` is borrowed. */
  constructor(routes: RouteSocket, owner: string) {
    this.#routes = routes
    this.#owner = owner
  }

  create(link: BridgeLink): Link {
    const { kind, name, macAddress } = link
    // Where nobody asks for members of groups, as good as always, snooping changes nothing for anybody; and for each port
    // that comes up it costs the kernel time for each that is there.
    const settings = { alias: this.#owner, group: NETWORK_LINK_GROUP, snoopsMulticast: false }
    try {
      return this.#routes.createLink({ kind, name, macAddress, ...settings })
    } catch (cause) {
      throw explainRefusal(cause, link)
    }
  }

  /**
   * Uses a bridge of somebody else's. One in a group of his is refused: a link has one, and his rules may ask for it.
   *
   * @throws LinkNotFoundError (`ERR_LINK_NOT_FOUND`), InterfaceExistsError (`ERR_INTERFACE_EXISTS`),
   *   BridgeGroupedError (`ERR_BRIDGE_GROUPED`)
   */
  take(link: ExistingBridge, rollback: Rollback): Link {
    const bridge = this.#routes.findLink(link.name)
    if (bridge === undefined) throw new LinkNotFoundError(link.name, undefined)
    if (bridge.kind !== 'bridge') throw new InterfaceExistsError(link.name, undefined)
    if (bridge.group !== NO_GROUP && bridge.group !== NETWORK_LINK_GROUP) {
      throw new BridgeGroupedError(link.name, bridge.group)
    }
    rollback.defer(`use bridge ${link.name}`, () => {
      this.giveBack(link)
    })
    return bridge
  }

  /** Leaves it as it was, and up. What somebody undid meanwhile is no error. */
  giveBack(link: ExistingBridge): void {
    const bridge = this.#routes.findLink(link.name)
    if (bridge === undefined) return
    for (const address of link.addresses) {
      try {
        this.#routes.apply(deleteAddress({ index: bridge.index, address }))
      } catch (error) {
        if (!isErrno(error, 'EADDRNOTAVAIL', 'ENODEV')) throw error
      }
    }
    if (bridge.group === NETWORK_LINK_GROUP) this.#routes.apply(setLink(bridge.index, { group: NO_GROUP }))
  }

  configure(link: BridgeLink | ExistingBridge, index: number): void {
    const addresses = link.addresses.map((address) => addAddress({ index, address }))
    if (link.kind === 'existing-bridge') {
      this.#routes.apply(...addresses, setLink(index, { group: NETWORK_LINK_GROUP, up: true }))
      return
    }
    // The MTU only now: one that a bridge was made with gives way to its ports', one that is set later does not.
    this.#routes.apply(...addresses, setLink(index, { mtu: link.mtu, up: true }))
  }
}
