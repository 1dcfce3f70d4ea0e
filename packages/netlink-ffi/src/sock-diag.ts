import { addressFromBytes, formatAddress, type Address, type CallOptions } from '@net/types'
import { attributes, u8, viewOf } from './attributes.ts'
import { MalformedMessageError, ValueOutOfRangeError } from './errors.ts'
import type { NetlinkMessage, ReceivedMessage } from './message.ts'
import { NetlinkSocket } from './netlink-socket.ts'
import { AF_INET, AF_INET6 } from './rtnetlink/address.ts'
import { littleEndian } from './writer.ts'

// linux/sock_diag.h, linux/inet_diag.h, linux/tcp_states.h
const NETLINK_SOCK_DIAG = 4
const SOCK_DIAG_BY_FAMILY = 20
const SOCKET_LENGTH = 72
/** Those that listen, and those that are bound and do not: the kernel tells of them since Linux 6.8. */
const TCP_LISTEN_STATES = (1 << 10) | (1 << 13)
/** An unconnected UDP socket is in TCP_CLOSE. */
const UDP_STATES = (1 << 7) | (1 << 1)
const protocols = { tcp: [6, TCP_LISTEN_STATES], udp: [17, UDP_STATES] } as const

/** INET_DIAG_SKV6ONLY */
const diagnosis = attributes({ onlyIpv6: [11, u8] })

/** A socket that listens (TCP) or is bound. */
export interface BoundSocket {
  readonly protocol: 'tcp' | 'udp'
  /** `0.0.0.0` or `::` for every address of its family; a `::` socket may take IPv4 too. */
  readonly address: string
  readonly port: number
  readonly inode: number
  /** Of IPv6, and takes no IPv4 besides. */
  readonly isOnlyIpv6: boolean
}

/**
 * The sockets of the calling thread's namespace that listen on TCP ports or are bound: whom a
 * port belongs to, without running a program or reading `/proc`.
 *
 * @throws NetlinkError (`ERR_NETLINK`), SystemCallError (`ERR_SYSTEM_CALL`) where the kernel lacks sock_diag
 */
export function listBoundSockets(protocol: 'tcp' | 'udp'): BoundSocket[] {
  checkProtocol(protocol)
  using socket = NetlinkSocket.open(NETLINK_SOCK_DIAG)
  return [AF_INET, AF_INET6].flatMap((family) =>
    socket.dump(socketsOf(protocol, family), (message) => decodeSocket(message, protocol)),
  )
}

/** As {@link listBoundSockets}, where there may be thousands: the event loop goes on meanwhile. */
export async function listBoundSocketsOffLoop(protocol: 'tcp' | 'udp', call?: CallOptions): Promise<BoundSocket[]> {
  checkProtocol(protocol)
  using socket = NetlinkSocket.open(NETLINK_SOCK_DIAG)
  const sockets: BoundSocket[][] = []
  for (const family of [AF_INET, AF_INET6]) {
    const decode = (message: ReceivedMessage): BoundSocket => decodeSocket(message, protocol)
    sockets.push(await socket.dumpOffLoop(socketsOf(protocol, family), decode, call))
  }
  return sockets.flat()
}

function checkProtocol(protocol: string): void {
  if (!Object.hasOwn(protocols, protocol)) throw new ValueOutOfRangeError('protocol', protocol, 'tcp or udp')
}

function socketsOf(protocol: 'tcp' | 'udp', family: number): NetlinkMessage {
  const [number, states] = protocols[protocol]
  return {
    type: SOCK_DIAG_BY_FAMILY,
    flags: 0,
    describe: () => `SOCK_DIAG_BY_FAMILY ${protocol}`,
    // struct inet_diag_req_v2: family, protocol, extensions, padding, states, then an empty inet_diag_sockid
    write: (writer) => {
      writer.u8(family)
      writer.u8(number)
      writer.u16(0)
      writer.u32(states)
      writer.bytes(new Uint8Array(48))
    },
  }
}

/** struct inet_diag_msg: family, state, timer, retransmits, then struct inet_diag_sockid, …, inode. */
function decodeSocket(message: ReceivedMessage, protocol: 'tcp' | 'udp'): BoundSocket {
  const { payload } = message
  if (payload.length < SOCKET_LENGTH) throw new MalformedMessageError('socket cut short', 0)
  const view = viewOf(payload)
  const addressLength = view.getUint8(0) === AF_INET ? 4 : 16
  return {
    protocol,
    address: formatAddress(withoutGuise(addressFromBytes(payload.subarray(8, 8 + addressLength)))),
    port: view.getUint16(4),
    inode: view.getUint32(68, littleEndian),
    isOnlyIpv6: diagnosis.read(payload, SOCKET_LENGTH).onlyIpv6 === 1,
  }
}

/** An IPv4 address that an IPv6 socket is bound to (`::ffff:127.0.0.1`) is just that. */
function withoutGuise(address: Address): Address {
  const isMapped = address.family === 6 && address.value >> 32n === 0xffffn
  return isMapped ? { family: 4, value: address.value & 0xffffffffn } : address
}
