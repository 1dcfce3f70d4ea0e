import { isInterfaceName, macAddressFromBytes, macAddressToBytes } from '@net/types'
import { attributes, i32, u32, u8, viewOf, writeAttribute, zstring, type AttributeCodec } from '../attributes.ts'
import { MalformedMessageError, ValueOutOfRangeError } from '../errors.ts'
import { NLM_F_CREATE, NLM_F_EXCL, type NetlinkMessage, type ReceivedMessage } from '../message.ts'
import { littleEndian, type Writer } from '../writer.ts'

// linux/rtnetlink.h, linux/if.h, linux/if_bridge.h
export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
const RTM_GETLINK = 18
export const RTM_SETLINK = 19
const AF_BRIDGE = 7
const AF_INET6 = 10
const IFF_UP = 1
/** struct ifinfomsg */
const LINK_HEADER_LENGTH = 16
const FLAGS_OFFSET = 8
/** What an answer about links is to leave out: its counters. */
const IFLA_EXT_MASK = 29
const RTEXT_FILTER_SKIP_STATS = 1 << 3
/** IF_OPER_DORMANT and IF_LINK_MODE_DORMANT, linux/if.h. */
const dormancy = { operationalState: 5, linkMode: 1 } as const
/** linux/veth.h */
const VETH_INFO_PEER = 1
/** BR_STATE_*, linux/if_bridge.h. */
const portStates = ['disabled', 'listening', 'learning', 'forwarding', 'blocking'] as const

const macAddress: AttributeCodec<string> = {
  write: (writer, value) => {
    writer.bytes(macAddressToBytes(value))
  },
  read: (bytes, start, end) => macAddressFromBytes(bytes.subarray(start, end)),
}

/** The port of a bridge that a link is: IFLA_BRPORT_*, linux/if_link.h. */
const bridgePort = attributes({ state: [1, u8], hairpin: [4, u8], isolated: [33, u8] })
type PortAttributes = Parameters<typeof bridgePort.write>[1]

/** IFLA_BR_*, linux/if_link.h. `filters…`: frames on this bridge pass the packet rules, whatever other bridges do. */
const bridgeData = attributes({ snoopsMulticast: [23, u8], filtersIpv4: [36, u8], filtersIpv6: [37, u8] })
type BridgeAttributes = Parameters<typeof bridgeData.write>[1]

/** What IFLA_LINKINFO says: the kind of link, what that kind needs to know, and which port of its bridge it is. */
interface LinkInfo {
  readonly kind?: string | undefined
  readonly peer?: VethPeer | undefined
  readonly bridge?: BridgeAttributes | undefined
  readonly port?: PortAttributes | undefined
}

/** IFLA_INFO_KIND, IFLA_INFO_DATA (a veth's data is its far end) and IFLA_INFO_SLAVE_DATA. */
const linkInfo: AttributeCodec<LinkInfo> = {
  nested: true,
  write: (writer, { kind, peer, bridge, port }) => {
    if (kind !== undefined) writeAttribute(writer, 1, zstring, kind)
    if (peer !== undefined) writeAttribute(writer, 2, vethData, peer)
    if (bridge !== undefined) writeAttribute(writer, 2, bridgeData, bridge)
    if (port !== undefined) writeAttribute(writer, 5, bridgePort, port)
  },
  read: (bytes, start, end) => ({ kind: linkKind.read(bytes, start, end).kind ?? '' }),
}
const linkKind = attributes({ kind: [1, zstring] })

/** IFLA_AF_SPEC: AF_INET6 (10), and of it IFLA_INET6_ADDR_GEN_MODE; linux/if_link.h. What it says of links is not read. */
const perFamily: AttributeCodec<{ readonly addressGeneration: number }> = {
  nested: true,
  write: (writer, { addressGeneration }) => {
    writeAttribute(writer, AF_INET6, ipv6Settings, { addressGeneration })
  },
  read: () => NO_ADDRESS,
}
const ipv6Settings = attributes({ addressGeneration: [8, u8] })
/** IN6_ADDR_GEN_MODE_NONE */
const NO_ADDRESS = { addressGeneration: 1 } as const

/** IFLA_*, linux/if_link.h. */
const linkAttributes = attributes({
  macAddress: [1, macAddress],
  name: [3, zstring],
  mtu: [4, u32],
  peerIndex: [5, i32],
  master: [10, u32],
  bridgePort: [12, bridgePort],
  operationalState: [16, u8],
  linkMode: [17, u8],
  info: [18, linkInfo],
  alias: [20, zstring],
  perFamily: [26, perFamily],
  group: [27, u32],
  namespaceFd: [28, u32],
  transmitQueues: [31, u32],
  receiveQueues: [32, u32],
  peerNamespace: [37, i32],
})

/**
 * IFLA_NUM_TX_QUEUES and IFLA_NUM_RX_QUEUES of a veth. It has one queue in use either way; but where it is not asked
 * for one, the kernel makes one for each processor and takes the others out of use again, for which it waits until
 * all processors have passed a quiet state, twice for a pair, with the lock of all links held.
 */
const ONE_QUEUE = { transmitQueues: 1, receiveQueues: 1 } as const

/** VETH_INFO_PEER: a whole link message of its own. */
const vethData: AttributeCodec<VethPeer> = {
  nested: true,
  write: (writer, peer) => {
    writeAttribute(writer, VETH_INFO_PEER, vethPeer, peer)
  },
  read: () => ({ name: '' }),
}
const vethPeer: AttributeCodec<VethPeer> = {
  nested: true,
  write: (writer, { name, macAddress, mtu, namespaceFd }) => {
    writeLinkHeader(writer, 0)
    linkAttributes.write(writer, { name, macAddress, mtu, namespaceFd, ...ONE_QUEUE })
  },
  read: () => ({ name: '' }),
}

/** The far end of a veth, born with its final name. */
export interface VethPeer {
  readonly name: string
  readonly macAddress?: string | undefined
  readonly mtu?: number | undefined
  /** An open descriptor of the namespace it is born in. @defaultValue that of the near end */
  readonly namespaceFd?: number | undefined
}

/** What links of every kind can be given. */
export interface LinkSettings {
  readonly mtu?: number | undefined
  readonly macAddress?: string | undefined
  /** Index of the bridge that the link becomes a port of. */
  readonly master?: number | undefined
  /** Free text that travels with the link: who made it. Up to 255 bytes. */
  readonly alias?: string | undefined
  /** A number that links have in common; packet rules can ask for it. @defaultValue 0 */
  readonly group?: number | undefined
  readonly up?: boolean | undefined
  /**
   * It makes no IPv6 address for itself when it comes up, which a port of a bridge has no use for. EAFNOSUPPORT where it
   * has no IPv6 at all. @defaultValue as the namespace has it, mostly one
   */
  readonly isWithoutIpv6Address?: boolean | undefined
}

/** What a bridge can be made with. */
export interface BridgeSettings {
  /**
   * It learns which ports want which multicast groups (RFC 4541). Each port that comes up has it begin anew with all of
   * them. @defaultValue true
   */
  readonly snoopsMulticast?: boolean | undefined
}

/** A link to be made. */
export type NewLink =
  | (LinkSettings & BridgeSettings & { readonly kind: 'bridge'; readonly name: string })
  | (LinkSettings & { readonly kind: 'veth'; readonly name: string; readonly peer: VethPeer })

/** A link as the kernel reports it. */
export interface Link {
  readonly index: number
  readonly name: string
  readonly kind: string | undefined
  readonly up: boolean
  readonly mtu: number
  readonly macAddress: string | undefined
  readonly master: number | undefined
  readonly alias: string | undefined
  readonly group: number
  /** Index of the other end of a veth, in its namespace. */
  readonly peerIndex: number | undefined
  /** By which number this namespace knows that of the other end; see `findNamespaceNumber`. Absent: it is the same. */
  readonly peerNamespace: number | undefined
}

/** Names a link by its index or its name. */
export type LinkReference = number | string

/** RTM_NEWLINK: makes a link. EEXIST when the name is taken. Its alias, and what it does of IPv6, have to be set afterwards. */
export function createLink(link: NewLink): NetlinkMessage {
  checkInterfaceName(link.name)
  if (link.kind === 'veth') checkInterfaceName(link.peer.name)
  return {
    type: RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    describe: () => `RTM_NEWLINK ${link.kind} ${link.name}`,
    write: (writer) => {
      writeLinkHeader(writer, 0, link.up)
      linkAttributes.write(writer, {
        name: link.name,
        ...settingsOf(link),
        alias: undefined,
        perFamily: undefined,
        info: infoOf(link),
        ...(link.kind === 'veth' ? ONE_QUEUE : {}),
      })
    },
  }
}

function infoOf(link: NewLink): LinkInfo {
  if (link.kind === 'veth') return { kind: link.kind, peer: link.peer }
  const { kind, snoopsMulticast } = link
  return snoopsMulticast === undefined ? { kind } : { kind, bridge: { snoopsMulticast: Number(snoopsMulticast) } }
}

/** RTM_SETLINK: changes a link; what is not named stays. */
export function setLink(
  reference: LinkReference,
  settings: LinkSettings & { readonly rename?: string },
): NetlinkMessage {
  if (settings.rename !== undefined) checkInterfaceName(settings.rename)
  return {
    type: RTM_SETLINK,
    flags: 0,
    describe: () => `RTM_SETLINK ${reference}`,
    write: (writer) => {
      writeLinkHeader(writer, typeof reference === 'number' ? reference : 0, settings.up)
      const name = settings.rename ?? (typeof reference === 'string' ? reference : undefined)
      linkAttributes.write(writer, { name, ...settingsOf(settings) })
    },
  }
}

/**
 * RTM_SETLINK: moves link `index` to another namespace, where it is down and called `name`. EEXIST when the name is taken
 * there; the link may have been moved then, under the name it had. EINVAL for what the kernel keeps where it is: `lo`,
 * bridges.
 */
export function moveLink(
  index: number,
  { namespaceFd, name }: { readonly namespaceFd: number; readonly name: string },
): NetlinkMessage {
  checkInterfaceName(name)
  return {
    type: RTM_SETLINK,
    flags: 0,
    describe: () => `RTM_SETLINK ${index} to another namespace as ${name}`,
    write: (writer) => {
      writeLinkHeader(writer, index, false)
      linkAttributes.write(writer, { name, namespaceFd })
    },
  }
}

/**
 * RTM_SETLINK: whatever its carrier does, link `index` counts as not ready to pass packets. Its bridge keeps
 * the port disabled then, though somebody at the far end of a veth takes his end down and up again.
 */
export function makeDormant(index: number): NetlinkMessage {
  return {
    type: RTM_SETLINK,
    flags: 0,
    describe: () => `RTM_SETLINK ${index} dormant`,
    write: (writer) => {
      writeLinkHeader(writer, index)
      linkAttributes.write(writer, dormancy)
    },
  }
}

/** How a bridge treats one of its ports. */
export interface BridgePortSettings {
  /** `disabled` takes the port off the bridge at once, without the wait that taking the link down costs. */
  readonly state?: (typeof portStates)[number] | undefined
  /** May not speak with other isolated ports. */
  readonly isolated?: boolean | undefined
  /** May send a frame back out of the port it came in by. */
  readonly hairpin?: boolean | undefined
}

/** RTM_SETLINK of family AF_BRIDGE: changes the bridge port that link `index` is. */
export function setBridgePort(index: number, settings: BridgePortSettings): NetlinkMessage {
  return {
    type: RTM_SETLINK,
    flags: 0,
    describe: () => `RTM_SETLINK bridge port ${index}`,
    write: (writer) => {
      writeLinkHeader(writer, index, undefined, AF_BRIDGE)
      linkAttributes.write(writer, { bridgePort: portAttributes(settings) })
    },
  }
}

/** RTM_NEWLINK of a link that is there: {@link setBridgePort} and up, in one message. ENODEV when there is none. */
export function setBridgePortUp(index: number, settings: BridgePortSettings): NetlinkMessage {
  return {
    type: RTM_NEWLINK,
    flags: 0,
    describe: () => `RTM_NEWLINK bridge port ${index} up`,
    write: (writer) => {
      writeLinkHeader(writer, index, true)
      linkAttributes.write(writer, { info: { port: portAttributes(settings) } })
    },
  }
}

/** RTM_NEWLINK of bridge `index`: its frames pass the packet rules, whatever `net.bridge.bridge-nf-call-*` say. */
export function filterBridge(index: number): NetlinkMessage {
  return {
    type: RTM_NEWLINK,
    flags: 0,
    describe: () => `RTM_NEWLINK bridge ${index} filtered`,
    write: (writer) => {
      writeLinkHeader(writer, index)
      linkAttributes.write(writer, { info: { kind: 'bridge', bridge: { filtersIpv4: 1, filtersIpv6: 1 } } })
    },
  }
}

function portAttributes({ state, hairpin, isolated }: BridgePortSettings): PortAttributes {
  return {
    state: state === undefined ? undefined : portStates.indexOf(state),
    hairpin: hairpin === undefined ? undefined : Number(hairpin),
    isolated: isolated === undefined ? undefined : Number(isolated),
  }
}

/** RTM_DELLINK. The kernel waits 15 to 40 ms before it answers: send it off the event loop. */
export function deleteLink(reference: LinkReference): NetlinkMessage {
  return {
    type: RTM_DELLINK,
    flags: 0,
    describe: () => `RTM_DELLINK ${reference}`,
    write: (writer) => {
      writeReference(writer, reference)
    },
  }
}

/** RTM_GETLINK of one link. ENODEV when there is none. */
export function getLink(reference: LinkReference): NetlinkMessage {
  return {
    type: RTM_GETLINK,
    flags: 0,
    describe: () => `RTM_GETLINK ${reference}`,
    write: (writer) => {
      writeReference(writer, reference)
      writeAttribute(writer, IFLA_EXT_MASK, u32, RTEXT_FILTER_SKIP_STATS)
    },
  }
}

/**
 * RTM_GETLINK, to be dumped: every link of the namespace, without its counters, which are a fifth to a quarter of what is
 * said of it.
 */
export const listLinks = dumpLinks(RTEXT_FILTER_SKIP_STATS)

/** As {@link listLinks}, with the counters: for {@link decodeStatistics}. */
export const listStatistics = dumpLinks(0)

function dumpLinks(filter: number): NetlinkMessage {
  return {
    type: RTM_GETLINK,
    flags: 0,
    describe: () => 'RTM_GETLINK dump',
    write: (writer) => {
      writeLinkHeader(writer, 0)
      writeAttribute(writer, IFLA_EXT_MASK, u32, filter)
    },
  }
}

/** Reads an RTM_NEWLINK or RTM_DELLINK. @throws MalformedMessageError (`ERR_MALFORMED_MESSAGE`) */
export function decodeLink(message: ReceivedMessage): Link {
  const { payload } = message
  if (payload.length < LINK_HEADER_LENGTH) throw new MalformedMessageError('link header cut short', 0)
  const view = viewOf(payload)
  const values = linkAttributes.read(payload, LINK_HEADER_LENGTH)
  return {
    index: view.getInt32(4, littleEndian),
    name: values.name ?? '',
    kind: values.info?.kind,
    up: isUp(payload),
    mtu: values.mtu ?? 0,
    macAddress: values.macAddress,
    master: values.master,
    alias: values.alias,
    group: values.group ?? 0,
    peerIndex: values.peerIndex,
    peerNamespace: values.peerNamespace,
  }
}

const endAttributes = attributes({
  name: [3, zstring],
  peerIndex: [5, i32],
  peerNamespace: [37, i32],
})

/** As {@link decodeLink}, but only what says where its other end is: of events there are many, and most are passed over. */
export function decodeEnds({ payload }: ReceivedMessage): Pick<Link, 'name' | 'up' | 'peerIndex' | 'peerNamespace'> {
  if (payload.length < LINK_HEADER_LENGTH) throw new MalformedMessageError('link header cut short', 0)
  const { name = '', peerIndex, peerNamespace } = endAttributes.read(payload, LINK_HEADER_LENGTH)
  return { name, up: isUp(payload), peerIndex, peerNamespace }
}

function isUp(payload: Uint8Array): boolean {
  return (u32.read(payload, FLAGS_OFFSET) & IFF_UP) !== 0
}

/** What has passed an interface since it was made. */
export interface LinkStatistics {
  readonly rxBytes: number
  readonly rxPackets: number
  readonly rxErrors: number
  readonly rxDropped: number
  readonly txBytes: number
  readonly txPackets: number
  readonly txErrors: number
  readonly txDropped: number
}

/** struct rtnl_link_stats64, linux/if_link.h: its members up to those, in order. */
const counters = [
  'rxPackets',
  'txPackets',
  'rxBytes',
  'txBytes',
  'rxErrors',
  'txErrors',
  'rxDropped',
  'txDropped',
] as const
const COUNTER_BYTES = 8
const statisticsAttribute: AttributeCodec<LinkStatistics> = {
  write: () => undefined,
  read(bytes, start, end) {
    const payload = bytes.subarray(start, end)
    if (payload.length < counters.length * COUNTER_BYTES) throw new MalformedMessageError('statistics cut short', 0)
    const view = viewOf(payload)
    const values = counters.map(
      (name, at) => [name, Number(view.getBigUint64(at * COUNTER_BYTES, littleEndian))] as const,
    )
    return Object.fromEntries(values) as Record<(typeof counters)[number], number>
  },
}
/** IFLA_IFNAME and IFLA_STATS64: apart from the rest, since hardly anybody wants to see them. */
const statisticsAttributes = attributes({ name: [3, zstring], statistics: [23, statisticsAttribute] })

/** Reads the counters out of an RTM_NEWLINK. @throws MalformedMessageError (`ERR_MALFORMED_MESSAGE`) */
export function decodeStatistics({
  payload,
}: ReceivedMessage): { name: string; statistics: LinkStatistics } | undefined {
  if (payload.length < LINK_HEADER_LENGTH) throw new MalformedMessageError('link header cut short', 0)
  const { name, statistics } = statisticsAttributes.read(payload, LINK_HEADER_LENGTH)
  return name === undefined || statistics === undefined ? undefined : { name, statistics }
}

/**
 * An interface name that the kernel takes as it is: see `isInterfaceName` of `@net/types`.
 *
 * @throws ValueOutOfRangeError (`ERR_VALUE_OUT_OF_RANGE`)
 */
export function checkInterfaceName(name: string): void {
  if (isInterfaceName(name)) return
  const expected = '1 to 15 bytes without white space, "/", ":" or "%", and none that settings have'
  throw new ValueOutOfRangeError('interface name', JSON.stringify(name), expected)
}

function settingsOf(link: LinkSettings): Parameters<typeof linkAttributes.write>[1] {
  const { mtu, macAddress, master, alias, group, isWithoutIpv6Address } = link
  return { mtu, macAddress, master, alias, group, perFamily: isWithoutIpv6Address === true ? NO_ADDRESS : undefined }
}

function writeReference(writer: Writer, reference: LinkReference): void {
  writeLinkHeader(writer, typeof reference === 'number' ? reference : 0)
  if (typeof reference === 'string') linkAttributes.write(writer, { name: reference })
}

/** struct ifinfomsg, linux/rtnetlink.h. */
function writeLinkHeader(writer: Writer, index: number, up?: boolean, family = 0): void {
  writer.u8(family)
  writer.u8(0)
  writer.u16(0)
  writer.i32(index)
  writer.u32(up === true ? IFF_UP : 0)
  writer.u32(up === undefined ? 0 : IFF_UP)
}
