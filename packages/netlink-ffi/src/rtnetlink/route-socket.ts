import type { CallOptions } from '@net/types'
import { isErrno, MalformedMessageError, NoReplyError, SystemCallError } from '../errors.ts'
import { NLM_F_ECHO, type NetlinkMessage } from '../message.ts'
import { NetlinkSocket, type NetlinkSocketOptions } from '../netlink-socket.ts'
import { decodeAddress, listAddresses, type InterfaceAddress } from './address.ts'
import {
  createLink,
  decodeLink,
  decodeStatistics,
  deleteLink,
  getLink,
  listLinks,
  listStatistics,
  setLink,
  type Link,
  type LinkReference,
  type LinkStatistics,
  type NewLink,
  type LinkSettings,
} from './link.ts'
import { decodeNamespaceNumber, getNamespaceNumber } from './namespace-number.ts'
import { decodeNeighbour, listNeighbours, type Neighbour } from './neighbour.ts'
import { decodeRoute, listRoutes, type Route } from './route.ts'

const NETLINK_ROUTE = 0

/** Links, addresses, routes and neighbours of the namespace it was opened in. */
export class RouteSocket {
  readonly #socket: NetlinkSocket

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket
  }

  /** Opens it in the calling thread's namespace, where it stays. */
  static open(options: Pick<NetlinkSocketOptions, 'logger' | 'bufferBytes'> = {}): RouteSocket {
    return new RouteSocket(NetlinkSocket.open(NETLINK_ROUTE, options))
  }

  /**
   * Carries out all messages in one exchange, in order.
   *
   * @throws NetlinkError (`ERR_NETLINK`): the first refusal; the messages after it were still carried out
   */
  apply(...messages: readonly NetlinkMessage[]): void {
    this.#socket.request(...messages)
  }

  /**
   * Makes a link, or leaves nothing behind, and says what became of it. EEXIST when the name is taken. The kernel
   * takes some settings only for a link that is there: that is a second message. A link without IPv6 needs not be told to
   * make no address of it.
   */
  createLink(link: NewLink): Link {
    const created = this.#createLink(link)
    const { alias, isWithoutIpv6Address } = link
    if (alias === undefined && isWithoutIpv6Address !== true) return created
    // Not in the same exchange: had the name been taken, the other's link would get our alias.
    try {
      this.#complete(created.index, { alias, isWithoutIpv6Address })
    } catch (error) {
      this.#socket.exchange([deleteLink(created.index)])
      throw error
    }
    return { ...created, alias }
  }

  #complete(index: number, settings: LinkSettings): void {
    try {
      this.#socket.request(setLink(index, settings))
    } catch (error) {
      if (settings.isWithoutIpv6Address !== true || !isErrno(error, 'EAFNOSUPPORT')) throw error
      this.#socket.request(setLink(index, { ...settings, isWithoutIpv6Address: undefined }))
    }
  }

  /** @throws NetlinkError (`ERR_NETLINK`) with ENODEV when there is none */
  getLink(reference: LinkReference): Link {
    const [reply] = this.#socket.request(getLink(reference))
    if (reply === undefined) throw new Error('RTM_GETLINK was acknowledged without an answer')
    return decodeLink(reply)
  }

  /** As {@link RouteSocket.getLink}, but undefined when there is none. */
  findLink(reference: LinkReference): Link | undefined {
    try {
      return this.getLink(reference)
    } catch (error) {
      if (isErrno(error, 'ENODEV')) return undefined
      throw error
    }
  }

  listLinks(): Link[] {
    return this.#socket.dump(listLinks, decodeLink)
  }

  /**
   * The same while the event loop goes on: the kernel takes some 20 µs for each link. Use a socket that serves nothing
   * else meanwhile.
   */
  listLinksOffLoop(call?: CallOptions): Promise<Link[]> {
    return this.#socket.dumpOffLoop(listLinks, decodeLink, call)
  }

  /** All links of a namespace whose programs may have made many; `too-many` where there are more: close it then. */
  listLinksUpTo(limit: number): Link[] | 'too-many' {
    return this.#socket.dumpUpTo(limit, listLinks, decodeLink)
  }

  /**
   * What has passed each interface, by its name, while the event loop goes on. Use a socket that serves nothing else
   * meanwhile.
   */
  async listStatisticsOffLoop(call?: CallOptions): Promise<Map<string, LinkStatistics>> {
    const all = await this.#socket.dumpOffLoop(listStatistics, decodeStatistics, call)
    return new Map(all.map(({ name, statistics }) => [name, statistics]))
  }

  /** The addresses of one link, which cost the same however many others there are, or all of the namespace. */
  listAddresses(index?: number): InterfaceAddress[] {
    try {
      return this.#socket.dump(listAddresses(index), decodeAddress)
    } catch (error) {
      // A link that is gone has none.
      if (isErrno(error, 'ENODEV')) return []
      throw error
    }
  }

  /** All of the namespace while the event loop goes on. Use a socket that serves nothing else meanwhile. */
  listAddressesOffLoop(call?: CallOptions): Promise<InterfaceAddress[]> {
    return this.#socket.dumpOffLoop(listAddresses(), decodeAddress, call)
  }

  /** As {@link RouteSocket.listLinksUpTo}, the addresses. */
  listAddressesUpTo(limit: number): InterfaceAddress[] | 'too-many' {
    return this.#socket.dumpUpTo(limit, listAddresses(), decodeAddress)
  }

  /** As {@link RouteSocket.listLinksUpTo}, the routes; those of the main table that are not unicast count as well. */
  listRoutesUpTo(limit: number): Route[] | 'too-many' {
    return this.#socket.dumpUpTo(limit, listRoutes, decodeRoute)
  }

  listRoutes(): Route[] {
    return this.#socket.dump(listRoutes, decodeRoute)
  }

  /** The same while the event loop goes on: a router has many. Use a socket that serves nothing else meanwhile. */
  listRoutesOffLoop(call?: CallOptions): Promise<Route[]> {
    return this.#socket.dumpOffLoop(listRoutes, decodeRoute, call)
  }

  listNeighbours(): Neighbour[] {
    return this.#socket.dump(listNeighbours, decodeNeighbour)
  }

  /**
   * By which number this namespace knows the one that `fd` is open on: links whose other ends are there bear it
   * ({@link Link.peerNamespace}). Undefined where it has none for it, as before the first of them was asked for.
   */
  findNamespaceNumber(fd: number): number | undefined {
    const [reply] = this.#socket.request(getNamespaceNumber(fd))
    return reply === undefined ? undefined : decodeNamespaceNumber(reply)
  }

  /**
   * Deletes links while the event loop goes on: the kernel waits 15 to 40 ms for each. Links that
   * are gone already are no error. Use a socket that serves nothing else.
   */
  async deleteLinks(references: readonly LinkReference[], call?: CallOptions): Promise<void> {
    const { errors } = await this.#socket.requestOffLoop(references.map(deleteLink), call)
    for (const { error } of errors) if (!isErrno(error, 'ENODEV')) throw error
  }

  /** Which of these links are there still, by index. Off the event loop, as {@link RouteSocket.deleteLinks}. */
  async filterAlive(indexes: readonly number[], call?: CallOptions): Promise<number[]> {
    const { errors } = await this.#socket.requestOffLoop(indexes.map(getLink), call)
    const gone = new Set(errors.filter(({ error }) => isErrno(error, 'ENODEV')).map(({ index }) => index))
    return indexes.filter((_, at) => !gone.has(at))
  }

  /** Safe to call twice. */
  close(): void {
    this.#socket.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #createLink(link: NewLink): Link {
    try {
      const message = createLink(link)
      const [reply] = this.#socket.request({ ...message, flags: message.flags | NLM_F_ECHO })
      return reply === undefined ? this.getLink(link.name) : decodeLink(reply)
    } catch (error) {
      // Where no answer was heard, there may be a link.
      if (isUnheard(error)) this.#deleteUnheard(link)
      throw error
    }
  }

  /** Deletes what may have been made, unless another has the name. */
  #deleteUnheard({ name, kind, macAddress, master, up = false }: NewLink): void {
    const link = this.findLink(name)
    if (link?.kind !== kind || link.alias !== undefined || link.up !== up) return
    if (macAddress !== undefined && link.macAddress !== macAddress) return
    if (master !== undefined && link.master !== master) return
    this.#socket.exchange([deleteLink(link.index)])
  }
}

/** Whether it is not known what the kernel said. */
function isUnheard(error: unknown): boolean {
  return error instanceof SystemCallError || error instanceof NoReplyError || error instanceof MalformedMessageError
}
