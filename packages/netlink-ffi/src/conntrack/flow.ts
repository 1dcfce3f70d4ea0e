import { addressFromBytes, addressToBytes, formatAddress, parseAddress, type AddressFamily } from '@net/types'
import { attributes, be16, be32, u32, u8, type AttributeCodec } from '../attributes.ts'
import { MalformedMessageError, ValueOutOfRangeError } from '../errors.ts'
import type { NetlinkMessage, ReceivedMessage } from '../message.ts'
import { readNfnetlinkHeader, writeNfnetlinkHeader } from '../nfnetlink-header.ts'
import { AF_INET, AF_INET6 } from '../rtnetlink/address.ts'
import type { Writer } from '../writer.ts'

// linux/netfilter/nfnetlink.h
const NFNL_SUBSYS_CTNETLINK = 1
/** enum cntl_msg_types, linux/netfilter/nfnetlink_conntrack.h */
const operations = { IPCTNL_MSG_CT_GET: 1, IPCTNL_MSG_CT_DELETE: 2, IPCTNL_MSG_CT_GET_STATS: 5 } as const

/** An address as its bytes, which the tuple's attribute says the family of. */
const address: AttributeCodec<string> = {
  write: (writer, value) => {
    writer.bytes(addressToBytes(parseAddress(value)))
  },
  read(bytes, start, end) {
    const payload = bytes.subarray(start, end)
    if (payload.length !== 4 && payload.length !== 16) {
      throw new MalformedMessageError(`${payload.length} bytes for an address`, 0)
    }
    return formatAddress(addressFromBytes(payload))
  },
}

/** enum ctattr_tuple, ctattr_ip and ctattr_l4proto */
const tupleAttributes = attributes({
  ip: [
    1,
    attributes({
      source4: [1, address],
      destination4: [2, address],
      source6: [3, address],
      destination6: [4, address],
    }),
  ],
  transport: [2, attributes({ protocol: [1, u8], sourcePort: [2, be16], destinationPort: [3, be16] })],
})

/** enum ctattr_type */
const flowAttributes = attributes({
  original: [1, tupleAttributes],
  reply: [2, tupleAttributes],
  status: [3, be32],
  id: [12, be32],
  zone: [18, be16],
  statusMask: [26, be32],
  /** CTA_FILTER: which members of the tuples count, in the machine's byte order. */
  filter: [25, attributes({ original: [1, u32], reply: [2, u32] })],
})

/** enum ctattr_stats_global */
const statisticsAttributes = attributes({ entries: [1, be32] })

/** CTA_FILTER_F_*, net/netfilter/nf_internals.h */
const filterFlags = { source: 1, destination: 2, protocol: 8, sourcePort: 16, destinationPort: 32 } as const
const memberNames = Object.keys(filterFlags) as (keyof typeof filterFlags)[]

/** How packets of one direction look. */
export interface FlowTuple {
  readonly source: string
  readonly destination: string
  /** Its number: 6 for TCP, 17 for UDP. */
  readonly protocol: number
  /** Absent where the protocol has no ports. */
  readonly sourcePort?: number | undefined
  readonly destinationPort?: number | undefined
}

/** A flow that the kernel tracks. */
export interface Flow {
  readonly family: AddressFamily
  /** As the first packet looked when it came. */
  readonly original: FlowTuple
  /** As answers look when they come: they are from where the flow was translated to. */
  readonly reply: FlowTuple
  /** IPS_*, linux/netfilter/nf_conntrack_common.h: 32 where the destination was translated. */
  readonly status: number
  /** Tells it from a later flow of the same tuples. */
  readonly id: number
  /** Flows of different zones do not know of each other. 0 unless a rule says otherwise. */
  readonly zone: number
}

/** Some members of a tuple. */
export type TuplePart = { readonly [Name in keyof FlowTuple]?: FlowTuple[Name] | undefined }

/** What flows have in common: addresses in the spelling of `formatAddress`. What is not named does not matter. */
export interface FlowFilter {
  readonly family: AddressFamily
  readonly original?: TuplePart | undefined
  readonly reply?: TuplePart | undefined
  /** These bits of the status have this value; beside a tuple, not without. */
  readonly status?: { readonly mask: number; readonly value: number } | undefined
  /** The port that the first packet was sent to is one of these, both ends included; beside a tuple, not without. */
  readonly destinationPorts?: { readonly first: number; readonly last: number } | undefined
}

/** IPCTNL_MSG_CT_GET, to be dumped: every flow of a family. */
export function listFlows(family: AddressFamily): NetlinkMessage {
  return flowMessage('IPCTNL_MSG_CT_GET', { family }, {})
}

/**
 * IPCTNL_MSG_CT_GET, to be dumped: the flows of a family that pass as much of `filter` as the kernel can look for. It
 * returns the others too where it knows no filters (before Linux 5.8).
 */
export function listFlowsBy({ family, original = {}, reply = {}, status }: FlowFilter): NetlinkMessage {
  const coarse = { family, original: withoutIpv6(family, original), reply: withoutIpv6(family, reply), status }
  if (flagsOf(coarse.original) === 0 && flagsOf(coarse.reply) === 0) return listFlows(family)
  return flowMessage('IPCTNL_MSG_CT_GET', coarse, filterAttributes(coarse))
}

function withoutIpv6(family: AddressFamily, tuple: TuplePart): TuplePart {
  return family === 4 ? tuple : { ...tuple, source: undefined, destination: undefined }
}

/**
 * IPCTNL_MSG_CT_DELETE of all flows that pass `filter`: the kernel looks for them itself. EOPNOTSUPP or
 * EINVAL before Linux 6.8. Not for IPv6 addresses: see {@link kernelCanFilter}.
 */
export function deleteFlowsBy(filter: FlowFilter): NetlinkMessage {
  return flowMessage('IPCTNL_MSG_CT_DELETE', filter, filterAttributes(filter))
}

/** IPCTNL_MSG_CT_DELETE of one flow. ENOENT when it is gone. */
export function deleteFlow({ family, original, id, zone }: Flow): NetlinkMessage {
  const values = { original: encodeTuple(family, original), id, zone: zone === 0 ? undefined : zone }
  return flowMessage('IPCTNL_MSG_CT_DELETE', { family, original }, values)
}

/**
 * Whether the kernel may be asked to look for `filter` itself. It takes IPv6 addresses the wrong way round
 * (ctnetlink_filter_match_tuple, as of Linux 6.18): asked for one, it finds all flows but those of that address. Of
 * ranges of ports it knows nothing.
 */
export function kernelCanFilter({ family, original, reply, destinationPorts }: FlowFilter): boolean {
  if (destinationPorts !== undefined) return false
  return (
    family === 4 || [original, reply].every((tuple) => tuple?.source === undefined && tuple?.destination === undefined)
  )
}

/** IPCTNL_MSG_CT_GET_STATS: how many flows there are. */
export const countFlows: NetlinkMessage = {
  type: typeOf('IPCTNL_MSG_CT_GET_STATS'),
  flags: 0,
  describe: () => 'IPCTNL_MSG_CT_GET_STATS',
  write: (writer) => {
    writeNfnetlinkHeader(writer, 0, 0)
  },
}

/** Reads the answer to {@link countFlows}. @throws MalformedMessageError (`ERR_MALFORMED_MESSAGE`) */
export function decodeCount({ payload }: ReceivedMessage): number {
  return statisticsAttributes.read(readNfnetlinkHeader(payload).body).entries ?? 0
}

/** Reads an IPCTNL_MSG_CT_NEW; undefined for what is of neither family. @throws MalformedMessageError */
export function decodeFlow({ payload }: ReceivedMessage): Flow | undefined {
  const { family, body } = readNfnetlinkHeader(payload)
  if (family !== AF_INET && family !== AF_INET6) return undefined
  const { original, reply, status = 0, id = 0, zone = 0 } = flowAttributes.read(body)
  return {
    family: family === AF_INET ? 4 : 6,
    original: decodeTuple(original),
    reply: decodeTuple(reply),
    status,
    id,
    zone,
  }
}

type TupleAttributes = Parameters<typeof tupleAttributes.write>[1]

function decodeTuple({ ip, transport }: TupleAttributes = {}): FlowTuple {
  const source = ip?.source4 ?? ip?.source6
  const destination = ip?.destination4 ?? ip?.destination6
  if (source === undefined || destination === undefined || transport?.protocol === undefined) {
    throw new MalformedMessageError('flow without addresses or protocol', 0)
  }
  const { protocol, sourcePort, destinationPort } = transport
  return { source, destination, protocol, sourcePort, destinationPort }
}

function encodeTuple(family: AddressFamily, tuple: TuplePart): TupleAttributes {
  const { source, destination, protocol, sourcePort, destinationPort } = tuple
  return {
    ip: family === 4 ? { source4: source, destination4: destination } : { source6: source, destination6: destination },
    transport: { protocol, sourcePort, destinationPort },
  }
}

/**
 * Never empty: a kernel that does not know the filter refuses a tuple that is not whole, where without
 * any tuple it would delete every flow of the host.
 */
function filterAttributes({
  family,
  original = {},
  reply = {},
  status,
}: FlowFilter): Parameters<typeof flowAttributes.write>[1] {
  const flags = { original: flagsOf(original), reply: flagsOf(reply) }
  if (flags.original === 0 && flags.reply === 0) {
    throw new ValueOutOfRangeError('flow filter', '{}', 'at least one member of a tuple')
  }
  return {
    original: flags.original === 0 ? undefined : encodeTuple(family, original),
    reply: flags.reply === 0 ? undefined : encodeTuple(family, reply),
    filter: flags,
    status: status?.value,
    statusMask: status?.mask,
  }
}

function flagsOf(tuple: TuplePart): number {
  return memberNames.reduce((flags, name) => (tuple[name] === undefined ? flags : flags | filterFlags[name]), 0)
}

function flowMessage(
  operation: keyof typeof operations,
  about: FlowFilter,
  values: Parameters<typeof flowAttributes.write>[1],
): NetlinkMessage {
  return {
    type: typeOf(operation),
    flags: 0,
    describe: () =>
      `${operation} ${describeTuple('from', about.original)}${describeTuple('answers', about.reply)}`.trim(),
    write: (writer: Writer) => {
      writeNfnetlinkHeader(writer, about.family === 4 ? AF_INET : AF_INET6, 0)
      flowAttributes.write(writer, values)
    },
  }
}

function typeOf(operation: keyof typeof operations): number {
  return (NFNL_SUBSYS_CTNETLINK << 8) | operations[operation]
}

/** `original 6 10.0.0.1:40000 to *:80 ` */
function describeTuple(direction: string, tuple: TuplePart | undefined): string {
  if (tuple === undefined) return ''
  const { source = '*', destination = '*', protocol, sourcePort = '*', destinationPort = '*' } = tuple
  return `${direction} ${source} ${sourcePort} to ${destination} ${destinationPort} (${protocol ?? '*'}) `
}
