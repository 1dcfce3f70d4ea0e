import { watchEvents } from './event-socket.ts'
import type { ReceivedMessage } from './message.ts'
import { decodeAddress, RTM_DELADDR, RTM_NEWADDR, type InterfaceAddress } from './rtnetlink/address.ts'
import { decodeLink, RTM_DELLINK, RTM_NEWLINK, type Link } from './rtnetlink/link.ts'

// linux/rtnetlink.h: enum rtnetlink_groups
const NETLINK_ROUTE = 0
const RTNLGRP_LINK = 1
const RTNLGRP_IPV4_IFADDR = 5
const RTNLGRP_IPV6_IFADDR = 9
const BUFFER_BYTES = 1024 * 1024

/** What became of a link or an address. */
export type RouteEvent =
  | { readonly kind: 'link-changed' | 'link-deleted'; readonly link: Link }
  | { readonly kind: 'address-added' | 'address-deleted'; readonly address: InterfaceAddress }
  /** Events were lost because they came faster than they were read: list again. */
  | { readonly kind: 'overrun' }

/**
 * Follows links and addresses of the calling thread's namespace, in the kernel's order, without
 * blocking the event loop, until `close`. A slow listener loses events and is told so (`overrun`).
 * Does not keep the process alive beyond what else it does.
 */
export function watchRoutes(onEvent: (event: RouteEvent) => void): { close(): void } & Disposable {
  const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR]
  const lost = (): RouteEvent => ({ kind: 'overrun' })
  return watchEvents({ protocol: NETLINK_ROUTE, groups, bufferBytes: BUFFER_BYTES, take: eventOf, lost }, onEvent)
}

function eventOf(message: ReceivedMessage): RouteEvent | undefined {
  switch (message.type) {
    case RTM_NEWLINK:
      return { kind: 'link-changed', link: decodeLink(message) }
    case RTM_DELLINK:
      return { kind: 'link-deleted', link: decodeLink(message) }
    case RTM_NEWADDR:
      return { kind: 'address-added', address: decodeAddress(message) }
    case RTM_DELADDR:
      return { kind: 'address-deleted', address: decodeAddress(message) }
    default:
      return undefined
  }
}
