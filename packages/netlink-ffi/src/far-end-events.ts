import { watchEvents, type EventSource } from './event-socket.ts'
import { HEADER_LENGTH, headerFields, type ReceivedMessage } from './message.ts'
import { decodeAddress, RTM_DELADDR, RTM_NEWADDR } from './rtnetlink/address.ts'
import { decodeEnds, RTM_DELLINK, RTM_NEWLINK } from './rtnetlink/link.ts'

// linux/rtnetlink.h: enum rtnetlink_groups
const NETLINK_ROUTE = 0
const RTNLGRP_LINK = 1
const RTNLGRP_IPV4_IFADDR = 5
const RTNLGRP_IPV6_IFADDR = 9
const BUFFER_BYTES = 1024 * 1024
const AF_BRIDGE = 7
/** struct ifinfomsg and struct ifaddrmsg begin with it. */
const family = { offset: HEADER_LENGTH, bytes: 1 } as const
/** struct ifinfomsg: which flags changed; all of them where the link is new, or gone. */
const change = { offset: HEADER_LENGTH + 12, bytes: 4 } as const
const ALL_FLAGS = 0xffff_ffff

/** Most of what is heard is what joining does: links that are new, their addresses, and bridges of their ports. */
const filter: EventSource<FarEndEvent>['filter'] = [
  [
    { field: headerFields.type, is: RTM_DELADDR, then: 'pass' },
    { field: headerFields.type, is: RTM_DELLINK, then: 'pass' },
    { field: headerFields.type, is: RTM_NEWADDR, then: 'drop' },
    { field: family, is: AF_BRIDGE, then: 'drop' },
    { field: change, is: ALL_FLAGS, then: 'drop' },
  ],
  'pass',
]

/** Something that became of an interface, wherever it is. */
export type FarEndEvent =
  /** `name`, `up`: as it is now. `peerIndex`: its other end, in that one's namespace. */
  | { readonly kind: 'link'; readonly peerIndex: number; readonly name: string; readonly up: boolean }
  | { readonly kind: 'address-removed'; readonly address: string }
  /** Events were lost because they came faster than they were read: look at all. */
  | { readonly kind: 'overrun' }

/**
 * Follows what becomes of links with another end elsewhere, and which addresses are removed, in the calling thread's namespace
 * and in all those that it has links into: one socket for all of them. In which one is not said; where the kernel does
 * not permit to listen to one (CAP_NET_BROADCAST there), nothing is heard from it.
 */
export function watchFarEnds(onEvent: (event: FarEndEvent) => void): { close(): void } & Disposable {
  const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR]
  const lost = (): FarEndEvent => ({ kind: 'overrun' })
  const what = { protocol: NETLINK_ROUTE, groups, bufferBytes: BUFFER_BYTES, everywhere: true, filter }
  return watchEvents({ ...what, take: eventOf, lost }, onEvent)
}

function eventOf(message: ReceivedMessage): FarEndEvent | undefined {
  const { type } = message
  if (type === RTM_DELADDR) return { kind: 'address-removed', address: decodeAddress(message).address }
  if (type !== RTM_NEWLINK && type !== RTM_DELLINK) return undefined
  const { peerIndex, peerNamespace, name, up } = decodeEnds(message)
  // A pair within one namespace is no far end of anything elsewhere.
  if (peerIndex === undefined || peerNamespace === undefined) return undefined
  return { kind: 'link', peerIndex, name, up: up && type === RTM_NEWLINK }
}
