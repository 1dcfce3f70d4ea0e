import { closeSync } from 'node:fs'
import { ClosedError } from '@net/types'
import { viewOf } from '../attributes.ts'
import { errnoName, SystemCallError } from '../errors.ts'
import { libc } from '../libc.ts'
import { check, setOption } from '../netlink-socket.ts'
import { Readiness, type Interest } from '../readiness.ts'
import { littleEndian } from '../writer.ts'
import { DatagramSocket } from './datagram-socket.ts'
import { messageCalls, messageRoom } from './message-room.ts'
import { beginConnect, endSending, openSocket } from './native.ts'
import { encodeSocketAddress, familyOf, type SocketAddress } from './socket-address.ts'

// asm-generic/socket.h
const SOCK_STREAM = 1
const SOL_SOCKET = 1
const SO_ERROR = 4
const SO_SNDBUF = 7
const SO_LINGER = 13
const SO_SNDBUFFORCE = 32
const MSG_DONTWAIT = 0x40
const MSG_EOR = 0x80
const MSG_NOSIGNAL = 0x4000
const MSG_NOTIFICATION = 0x8000
/** struct sctp_event_subscribe, as far as it is of interest: that an association ends. */
const ASSOCIATION_EVENTS = Uint8Array.of(0, 1)
/** struct sctp_assoc_change: its state, of enum sctp_sac_state. */
const CHANGE_STATE = 8
const SCTP_COMM_UP = 0
const SCTP_SHUTDOWN_COMP = 3
/** asm-generic/errno.h */
const ECONNRESET = 104
// linux/in.h, linux/sctp.h
export const IPPROTO_SCTP = 132
const SCTP_INITMSG = 2
const SCTP_NODELAY = 3
const SCTP_EVENTS = 11
const SCTP_STATUS = 14
const SCTP_RECVRCVINFO = 32
const SCTP_DEFAULT_SNDINFO = 34
const SCTP_UNORDERED = 1
/** enum sctp_cmsg_type */
const SCTP_RCVINFO = 3
const STATUS_BYTES = 176
const STATUS_INCOMING_STREAMS = 16
// struct cmsghdr, then struct sctp_rcvinfo
const CONTROL_LEVEL = 8
const CONTROL_TYPE = 12
const RECEIVE_STREAM = 16
const RECEIVE_FLAGS = 20
const RECEIVE_PROTOCOL = 24
const RECEIVE_END = 44

/** What an SCTP message has beside its bytes. */
export interface SctpLabel {
  /** Messages of a stream are in order among themselves. */
  readonly stream: number
  /** The payload protocol identifier, in whatever byte order the sender wrote it: the kernel carries it as it is. */
  readonly protocol: number
  /** Not in order even with those of its stream. */
  readonly isUnordered: boolean
}

/** A message of SCTP, or a part of a long one. */
export interface SctpPart {
  readonly payload: Uint8Array
  readonly label: SctpLabel
  /** Nothing of this message follows. The parts of a message come without others between. */
  readonly isLast: boolean
}

/** One end of an SCTP association (a one-to-one socket, RFC 6458). It never waits. */
export class SctpSocket {
  readonly #fd: number
  #readiness: Readiness | undefined
  /** What the kernel takes for the label of what is sent. */
  #label: SctpLabel = { stream: 0, protocol: 0, isUnordered: false }
  #closed = false

  private constructor(fd: number) {
    this.#fd = fd
  }

  /**
   * Begins an association, with as many streams as are given; success is known once it can be written. It is between
   * this address of the host's that the routes choose and the one given: not, as SCTP has it otherwise, all of the host's.
   *
   * @throws SystemCallError (`ERR_SYSTEM_CALL`): ENETUNREACH, EMFILE, and EPROTONOSUPPORT or ESOCKTNOSUPPORT where the
   *   kernel has no SCTP
   */
  static connect(to: SocketAddress, streams: number): SctpSocket {
    const about = `sctp ${to.address} port ${to.port}`
    const [address, source] = [encodeSocketAddress(to), encodeSocketAddress({ address: sourceTowards(to), port: 0 })]
    const fd = openSctp(to, about)
    try {
      setStreams(fd, streams)
      check(libc().bind(fd, source, source.length), 'bind', about)
      beginConnect(fd, address, about)
      return SctpSocket.adopt(fd)
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  /** Takes over fd, on success. @throws SystemCallError (`ERR_SYSTEM_CALL`): ENOPROTOOPT when it is no socket of SCTP */
  static adopt(fd: number): SctpSocket {
    setOption(fd, IPPROTO_SCTP, SCTP_RECVRCVINFO, 1)
    setOption(fd, IPPROTO_SCTP, SCTP_NODELAY, 1)
    // The end of an association that this side has ended is told of in no other way.
    check(
      libc().setsockopt(fd, IPPROTO_SCTP, SCTP_EVENTS, ASSOCIATION_EVENTS, ASSOCIATION_EVENTS.length),
      'setsockopt',
      'sctp events',
    )
    return new SctpSocket(fd)
  }

  /** How many streams the other side may send on. @throws SystemCallError (`ERR_SYSTEM_CALL`): EINVAL when not connected */
  get incomingStreams(): number {
    const status = new Uint8Array(STATUS_BYTES)
    readOption(this.#live(), IPPROTO_SCTP, SCTP_STATUS, status)
    return viewOf(status).getUint16(STATUS_INCOMING_STREAMS, littleEndian)
  }

  /** Calls `onReady` from the event loop whenever what {@link SctpSocket.wait} names holds. Keeps no process alive. */
  watch(onReady: (what: Interest) => void): void {
    this.#readiness?.close()
    this.#readiness = new Readiness(this.#live(), onReady)
  }

  /** What is of interest now: nothing, at first. */
  wait(interest: Interest): void {
    this.#readiness?.wait(interest)
  }

  /** Why it broke off, or could not be connected; undefined when it did not. Told once. */
  takeError(): SystemCallError | undefined {
    const value = new Uint8Array(4)
    readOption(this.#live(), SOL_SOCKET, SO_ERROR, value)
    const errno = viewOf(value).getInt32(0, littleEndian)
    return errno === 0 ? undefined : new SystemCallError('sctp', errno)
  }

  /**
   * What came next: 'nothing' yet, or the 'end' of all.
   *
   * @throws SystemCallError (`ERR_SYSTEM_CALL`): ECONNRESET, ETIMEDOUT
   */
  receive(): SctpPart | 'nothing' | 'end' {
    const room = messageRoom()
    const length = messageCalls().recvmsg(this.#live(), room.prepare(), MSG_DONTWAIT)
    if (length > 0 && (room.flags & MSG_NOTIFICATION) > 0) return this.#afterChange(room.payload)
    if (length > 0) {
      return {
        payload: room.payload.slice(0, length),
        label: labelIn(room.control),
        isLast: (room.flags & MSG_EOR) > 0,
      }
    }
    if (length === 0) return 'end'
    const errno = libc().errno()
    // The association may be gone without a trace once both sides have said their last.
    if (errnoName(errno) === 'ENOTCONN') return 'end'
    if (errnoName(errno) === 'EAGAIN') return 'nothing'
    throw new SystemCallError('recvmsg', errno)
  }

  /**
   * Sends a message whole, or returns false: there is no room for it now.
   *
   * @throws SystemCallError (`ERR_SYSTEM_CALL`): EPIPE or ESHUTDOWN when the other side hears no more, EINVAL for a
   *   stream that it has not, EMSGSIZE
   */
  send(payload: Uint8Array, label: SctpLabel): boolean {
    this.#setLabel(label)
    const errno = this.#send(payload)
    if (errno === 0) return true
    if (errnoName(errno) === 'EAGAIN') return false
    throw new SystemCallError('send', errno, `${payload.length} bytes on stream ${label.stream}`)
  }

  /** Ends the association once all that was sent has arrived. What comes in until then is to be read. */
  shutdown(): void {
    endSending(this.#live())
  }

  /** Breaks it off, so that the other side knows (ABORT). Safe to call twice, and after `close`. */
  abort(): void {
    if (this.#closed) return
    // struct linger: on, and for no time at all
    libc().setsockopt(this.#fd, SOL_SOCKET, SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer), 8)
    this.close()
  }

  /** Ends it. What came in and was not read breaks it off. Safe to call twice. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#readiness?.close()
    closeSync(this.#fd)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** What follows what the kernel told of the association, in its place among messages. */
  #afterChange(change: Uint8Array): SctpPart | 'nothing' | 'end' {
    const state = viewOf(change).getUint16(CHANGE_STATE, littleEndian)
    if (state === SCTP_SHUTDOWN_COMP) return 'end'
    if (state === SCTP_COMM_UP) return this.receive()
    throw new SystemCallError('recvmsg', ECONNRESET)
  }

  /** 0, or the error number. A message is sent whole: one longer than the buffer makes that grow. */
  #send(payload: Uint8Array): number {
    const send = (): number => libc().send(this.#live(), payload, payload.length, MSG_DONTWAIT | MSG_NOSIGNAL)
    if (send() >= 0) return 0
    const errno = libc().errno()
    if (errnoName(errno) !== 'EMSGSIZE') return errno
    enlargeSendBuffer(this.#fd, payload.length)
    return send() >= 0 ? 0 : libc().errno()
  }

  #setLabel(label: SctpLabel): void {
    const { stream, protocol, isUnordered } = this.#label
    if (label.stream === stream && label.protocol === protocol && label.isUnordered === isUnordered) return
    // struct sctp_sndinfo
    const info = new Uint8Array(16)
    const view = viewOf(info)
    view.setUint16(0, label.stream, littleEndian)
    view.setUint16(2, label.isUnordered ? SCTP_UNORDERED : 0, littleEndian)
    view.setUint32(4, label.protocol, littleEndian)
    check(
      libc().setsockopt(this.#live(), IPPROTO_SCTP, SCTP_DEFAULT_SNDINFO, info, info.length),
      'setsockopt',
      `sctp stream ${label.stream}`,
    )
    this.#label = label
  }

  #live(): number {
    if (this.#closed) throw new ClosedError('sctp socket')
    return this.#fd
  }
}

/** Whether the kernel has sockets of SCTP: it may be a module, which is loaded then. */
export function hasSctp(): boolean {
  try {
    closeSync(openSctp({ address: '127.0.0.1', port: 0 }, 'sctp'))
    return true
  } catch (error) {
    if (error instanceof SystemCallError && error.kind === 'not-implemented') return false
    throw error
  }
}

/** A one-to-one socket. */
export function openSctp({ address }: SocketAddress, about: string): number {
  return openSocket(familyOf(address), SOCK_STREAM, about, IPPROTO_SCTP)
}

/** How many streams to ask for when an association begins (struct sctp_initmsg). */
export function setStreams(fd: number, streams: number): void {
  const value = new Uint8Array(Uint16Array.of(streams, 0, 0, 0).buffer)
  check(libc().setsockopt(fd, IPPROTO_SCTP, SCTP_INITMSG, value, value.length), 'setsockopt', `${streams} streams`)
}

/** The host's address that packets to there leave from. */
function sourceTowards(to: SocketAddress): string {
  using probe = DatagramSocket.connect(to)
  return probe.localAddress.address
}

function labelIn(control: Uint8Array): SctpLabel {
  const view = viewOf(control)
  if (
    control.length < RECEIVE_END ||
    view.getInt32(CONTROL_LEVEL, littleEndian) !== IPPROTO_SCTP ||
    view.getInt32(CONTROL_TYPE, littleEndian) !== SCTP_RCVINFO
  ) {
    return { stream: 0, protocol: 0, isUnordered: false }
  }
  return {
    stream: view.getUint16(RECEIVE_STREAM, littleEndian),
    protocol: view.getUint32(RECEIVE_PROTOCOL, littleEndian),
    isUnordered: (view.getUint16(RECEIVE_FLAGS, littleEndian) & SCTP_UNORDERED) > 0,
  }
}

function enlargeSendBuffer(fd: number, bytes: number): void {
  const value = new Uint8Array(Int32Array.of(bytes).buffer)
  // Beyond net.core.wmem_max only with CAP_NET_ADMIN over the first user namespace.
  if (libc().setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, value, 4) === 0) return
  check(libc().setsockopt(fd, SOL_SOCKET, SO_SNDBUF, value, 4), 'setsockopt')
}

function readOption(fd: number, level: number, option: number, value: Uint8Array): void {
  const length = new Uint8Array(Uint32Array.of(value.length).buffer)
  check(libc().getsockopt(fd, level, option, value, length), 'getsockopt')
}
