import { u32 } from './attributes.ts'
import { watchEvents } from './event-socket.ts'
import type { ReceivedMessage } from './message.ts'
import { RTM_DELADDR, RTM_NEWADDR } from './rtnetlink/address.ts'
import { RTM_DELLINK, RTM_NEWLINK } from './rtnetlink/link.ts'

// linux/rtnetlink.h: enum rtnetlink_groups
const NETLINK_ROUTE = 0
const RTNLGRP_LINK = 1
const RTNLGRP_IPV4_IFADDR = 5
const RTNLGRP_IPV6_IFADDR = 9
const BUFFER_BYTES = 1024 * 1024
/** struct ifinfomsg and struct ifaddrmsg have the index at the same place. */
const INDEX_OFFSET = 4
const types: readonly number[] = [RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR]

/** Something about an interface or its addresses is another. */
export type InterfaceEvent =
  | { readonly kind: 'touched'; readonly index: number }
  /** Events were lost because they came faster than they were read: look at all. */
  | { readonly kind: 'overrun' }

/**
 * As `watchRoutes`, but says only which interface it is about, for those who look themselves: of most interfaces most
 * listeners want to know nothing, and to read a report takes ten times as long as to pass it over.
 */
export function watchInterfaces(onEvent: (event: InterfaceEvent) => void): { close(): void } & Disposable {
  const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR]
  const lost = (): InterfaceEvent => ({ kind: 'overrun' })
  return watchEvents({ protocol: NETLINK_ROUTE, groups, bufferBytes: BUFFER_BYTES, take: touchedBy, lost }, onEvent)
}

function touchedBy({ type, payload }: ReceivedMessage): InterfaceEvent | undefined {
  if (!types.includes(type) || payload.length < INDEX_OFFSET + 4) return undefined
  return { kind: 'touched', index: u32.read(payload, INDEX_OFFSET) }
}
