import { closeSync } from 'node:fs'
import { ClosedError } from '@net/types'
import { viewOf } from '../attributes.ts'
import { errnoName, SystemCallError } from '../errors.ts'
import { libc, watchReadable } from '../libc.ts'
import { check, setOption } from '../netlink-socket.ts'
import { AF_INET } from '../rtnetlink/address.ts'
import { littleEndian } from '../writer.ts'
import { messageCalls, messageRoom, type MessageRoom } from './message-room.ts'
import { applyListenOptions, localAddressOf, openDatagram, type ListenOptions } from './native.ts'
import { familyOf, type SocketAddress } from './socket-address.ts'

const MSG_DONTWAIT = 0x40
// linux/in.h, linux/in6.h
const IPPROTO_IP = 0
const IPPROTO_IPV6 = 41
const IP_PKTINFO = 8
const IPV6_RECVPKTINFO = 49
// struct cmsghdr, then struct in_pktinfo or in6_pktinfo
const CONTROL_LEVEL = 8
const PACKET_INFO = 16
const IPV4_INTERFACE = PACKET_INFO
const IPV6_INTERFACE = PACKET_INFO + 16

/** Where a datagram came from, and which address of the host it was sent to. */
export interface DatagramOrigin {
  /** The same for all datagrams between the same two sockets. */
  readonly key: string
  /** struct sockaddr_in or sockaddr_in6 */
  readonly sender: Uint8Array
  /** The control message that makes an answer leave from the address that was asked. */
  readonly asked: Uint8Array
}

/**
 * A UDP socket whose answers leave from the very address that was asked, on a host with many: one that is bound to
 * every address would answer from whichever the route prefers. It never waits: what cannot be sent at once is dropped.
 */
export class AnsweringSocket {
  readonly #fd: number
  #watch: { close(): void } | undefined
  #closed = false

  private constructor(fd: number) {
    this.#fd = fd
  }

  /**
   * Opens one on an address of the calling thread's namespace; port 0 is any that is free.
   *
   * @throws SystemCallError (`ERR_SYSTEM_CALL`): EADDRINUSE, EADDRNOTAVAIL, EMFILE
   */
  static bind(at: SocketAddress, options: ListenOptions = {}): AnsweringSocket {
    return openDatagram(at, (fd, address, about) => {
      applyListenOptions(fd, familyOf(at.address), options)
      check(libc().bind(fd, address, address.length), 'bind', about)
      return AnsweringSocket.adopt(fd)
    })
  }

  /** Takes over fd, a socket that is bound. @throws SystemCallError (`ERR_SYSTEM_CALL`): ENOTSOCK */
  static adopt(fd: number): AnsweringSocket {
    const isIpv4 = familyOf(localAddressOf(fd).address) === AF_INET
    if (isIpv4) setOption(fd, IPPROTO_IP, IP_PKTINFO, 1)
    else setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    return new AnsweringSocket(fd)
  }

  /** Its descriptor, for handing it over. It stays ours. */
  get fd(): number {
    return this.#live()
  }

  /** Where it is bound. */
  get localAddress(): SocketAddress {
    return localAddressOf(this.#live())
  }

  /** Calls `onReadable` from the event loop whenever something has come in, until `close`. Keeps no process alive. */
  watch(onReadable: () => void): void {
    this.#watch?.close()
    this.#watch = watchReadable(this.#live(), onReadable)
  }

  /**
   * The next datagram and where it is from, or undefined when there is none.
   *
   * @throws SystemCallError (`ERR_SYSTEM_CALL`)
   */
  receive(): { readonly payload: Uint8Array; readonly origin: DatagramOrigin } | undefined {
    const room = messageRoom()
    const length = messageCalls().recvmsg(this.#live(), room.prepare(), MSG_DONTWAIT)
    if (length >= 0) return { payload: room.payload.slice(0, length), origin: originOf(room) }
    const errno = libc().errno()
    // What an earlier answer met (ICMP) is no matter of this datagram.
    if (['EAGAIN', 'ECONNREFUSED'].includes(errnoName(errno))) return undefined
    throw new SystemCallError('recvmsg', errno)
  }

  /** Sends one datagram to where another came from. False when the kernel refused. */
  answer(payload: Uint8Array, { sender, asked }: DatagramOrigin): boolean {
    const header = messageRoom().fill(payload, sender, asked)
    return messageCalls().sendmsg(this.#live(), header, MSG_DONTWAIT) >= 0
  }

  /** Safe to call twice. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#watch?.close()
    closeSync(this.#fd)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #live(): number {
    if (this.#closed) throw new ClosedError('answering socket')
    return this.#fd
  }
}

/** Where what was received into the room is from. */
function originOf(room: MessageRoom): DatagramOrigin {
  const sender = room.name.slice()
  const asked = withoutInterface(room.control.slice())
  return { key: Buffer.from([...sender, ...asked]).toString('latin1'), sender, asked }
}

/**
 * The kernel takes the control message that it gave as the source of an answer. But for addresses of one link, the
 * interface is left to the routes: the way back may be another.
 */
function withoutInterface(control: Uint8Array): Uint8Array {
  if (control.length < PACKET_INFO) return control
  const view = viewOf(control)
  const isIpv6 = view.getInt32(CONTROL_LEVEL, littleEndian) === IPPROTO_IPV6
  const isLinkLocal = isIpv6 && control[PACKET_INFO] === 0xfe && ((control[PACKET_INFO + 1] ?? 0) & 0xc0) === 0x80
  if (!isLinkLocal) view.setUint32(isIpv6 ? IPV6_INTERFACE : IPV4_INTERFACE, 0, littleEndian)
  return control
}
