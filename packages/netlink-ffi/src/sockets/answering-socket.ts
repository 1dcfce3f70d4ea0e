import { closeSync } from 'node:fs'
import koffi from 'koffi'
import { ClosedError } from '@net/types'
import { viewOf } from '../attributes.ts'
import { errnoName, SystemCallError } from '../errors.ts'
import { allocateFixed } from '../fixed-memory.ts'
import { libc, watchReadable } from '../libc.ts'
import { check, setOption } from '../netlink-socket.ts'
import { AF_INET } from '../rtnetlink/address.ts'
import { littleEndian } from '../writer.ts'
import { applyListenOptions, localAddressOf, openDatagram, type ListenOptions } from './native.ts'
import { familyOf, SOCKET_ADDRESS_BYTES, type SocketAddress } from './socket-address.ts'

const MSG_DONTWAIT = 0x40
const MAX_BYTES = 65_535
// linux/in.h, linux/in6.h
const IPPROTO_IP = 0
const IPPROTO_IPV6 = 41
const IP_PKTINFO = 8
const IPV6_RECVPKTINFO = 49
// struct msghdr of a 64-bit kernel, linux/socket.h: where its members lie.
const HEADER_BYTES = 56
const NAME = 0
const NAME_LENGTH = 8
const VECTORS = 16
const VECTOR_COUNT = 24
const CONTROL = 32
const CONTROL_LENGTH = 40
const VECTOR_LENGTH = 8
// struct cmsghdr, then struct in_pktinfo or in6_pktinfo
const CONTROL_BYTES = 64
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
    const length = messageCalls().recvmsg(this.#live(), room().prepare(MAX_BYTES), MSG_DONTWAIT)
    if (length >= 0) return { payload: room().payload.slice(0, length), origin: room().origin() }
    const errno = libc().errno()
    // What an earlier answer met (ICMP) is no matter of this datagram.
    if (['EAGAIN', 'ECONNREFUSED'].includes(errnoName(errno))) return undefined
    throw new SystemCallError('recvmsg', errno)
  }

  /** Sends one datagram to where another came from. False when the kernel refused. */
  answer(payload: Uint8Array, origin: DatagramOrigin): boolean {
    return messageCalls().sendmsg(this.#live(), room().prepareAnswer(payload, origin), MSG_DONTWAIT) >= 0
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

/** One message with its header, address and control message, in memory that does not move. */
class MessageRoom {
  readonly #header = allocateFixed(HEADER_BYTES)
  readonly #vector = allocateFixed(16)
  readonly #name = allocateFixed(SOCKET_ADDRESS_BYTES)
  readonly #control = allocateFixed(CONTROL_BYTES)
  readonly #payload = allocateFixed(MAX_BYTES)
  readonly #view = viewOf(this.#header.bytes)

  constructor() {
    this.#view.setBigUint64(NAME, this.#name.address, littleEndian)
    this.#view.setBigUint64(VECTORS, this.#vector.address, littleEndian)
    this.#view.setBigUint64(VECTOR_COUNT, 1n, littleEndian)
    this.#view.setBigUint64(CONTROL, this.#control.address, littleEndian)
    viewOf(this.#vector.bytes).setBigUint64(0, this.#payload.address, littleEndian)
  }

  get payload(): Uint8Array {
    return this.#payload.bytes
  }

  /** Makes ready for a datagram of `lengthBytes` at most. The header for recvmsg. */
  prepare(lengthBytes: number): Uint8Array {
    return this.#prepare(lengthBytes, SOCKET_ADDRESS_BYTES, CONTROL_BYTES)
  }

  /** Makes ready to send. The header for sendmsg. */
  prepareAnswer(payload: Uint8Array, { sender, asked }: DatagramOrigin): Uint8Array {
    this.#payload.bytes.set(payload)
    this.#name.bytes.set(sender)
    this.#control.bytes.set(asked)
    return this.#prepare(payload.length, sender.length, asked.length)
  }

  /** Where what was received is from. */
  origin(): DatagramOrigin {
    const sender = this.#name.bytes.slice(0, this.#view.getUint32(NAME_LENGTH, littleEndian))
    const controlLength = Number(this.#view.getBigUint64(CONTROL_LENGTH, littleEndian))
    const asked = withoutInterface(this.#control.bytes.slice(0, controlLength))
    return { key: Buffer.from([...sender, ...asked]).toString('latin1'), sender, asked }
  }

  #prepare(lengthBytes: number, nameBytes: number, controlBytes: number): Uint8Array {
    viewOf(this.#vector.bytes).setBigUint64(VECTOR_LENGTH, BigInt(lengthBytes), littleEndian)
    this.#view.setUint32(NAME_LENGTH, nameBytes, littleEndian)
    this.#view.setBigUint64(CONTROL_LENGTH, BigInt(controlBytes), littleEndian)
    return this.#header.bytes
  }
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

let sharedRoom: MessageRoom | undefined

/** One serves all sockets: what is received is copied out of it at once. */
function room(): MessageRoom {
  return (sharedRoom ??= new MessageRoom())
}

interface MessageCalls {
  recvmsg(fd: number, header: Uint8Array, flags: number): number
  sendmsg(fd: number, header: Uint8Array, flags: number): number
}

let calls: MessageCalls | undefined

/** Bound when first asked for. */
function messageCalls(): MessageCalls {
  return (calls ??= {
    recvmsg: koffi.load(null).func('intptr_t recvmsg(int fd, void *header, int flags)'),
    sendmsg: koffi.load(null).func('intptr_t sendmsg(int fd, const void *header, int flags)'),
  })
}
