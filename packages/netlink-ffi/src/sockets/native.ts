import { closeSync } from 'node:fs'
import koffi from 'koffi'
import { libc } from '../libc.ts'
import { errnoName, SystemCallError } from '../errors.ts'
import { check, int32, setOption } from '../netlink-socket.ts'
import { AF_INET6 } from '../rtnetlink/address.ts'
import {
  decodeSocketAddress,
  encodeSocketAddress,
  familyOf,
  SOCKET_ADDRESS_BYTES,
  type SocketAddress,
} from './socket-address.ts'

// asm-generic/socket.h, linux/net.h
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SHUT_WR = 1
const SOL_SOCKET = 1
const SO_REUSEPORT = 15
// linux/in.h, linux/in6.h
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26

/** The calls that move several datagrams at once, and one to somewhere. Each returns -1 on failure. */
export interface DatagramCalls {
  recvmmsg(fd: number, messages: Uint8Array, count: number, flags: number): number
  sendmmsg(fd: number, messages: Uint8Array, count: number, flags: number): number
  sendto(fd: number, payload: Uint8Array, flags: number, to: Uint8Array): number
}

let loaded: DatagramCalls | undefined

/** The calls of the C library this process runs on; bound when first asked for. */
export function datagramCalls(): DatagramCalls {
  return (loaded ??= load())
}

function load(): DatagramCalls {
  const library = koffi.load(null)
  const recvmmsg = library.func('int recvmmsg(int fd, void *messages, unsigned int count, int flags, void *timeout)')
  const sendmmsg = library.func('int sendmmsg(int fd, void *messages, unsigned int count, int flags)')
  const sendto = library.func(
    'intptr_t sendto(int fd, const void *payload, size_t length, int flags, const void *to, uint32_t toLength)',
  )
  return {
    recvmmsg: (fd, messages, count, flags) => recvmmsg(fd, messages, count, flags, null) as number,
    sendmmsg: (fd, messages, count, flags) => sendmmsg(fd, messages, count, flags) as number,
    sendto: (fd, payload, flags, to) => sendto(fd, payload, payload.length, flags, to, to.length) as number,
  }
}

/** The calls about connections that are there. Each returns -1 on failure. */
interface ConnectionCalls {
  accept4(fd: number, address: null, length: null, flags: number): number
  shutdown(fd: number, how: number): number
}

let connections: ConnectionCalls | undefined

function connectionCalls(): ConnectionCalls {
  return (connections ??= {
    accept4: koffi.load(null).func('int accept4(int fd, void *address, void *length, int flags)'),
    shutdown: koffi.load(null).func('int shutdown(int fd, int how)'),
  })
}

/** A socket that never waits and is not handed on to programs started from here. */
export function openSocket(family: number, type: number, about: string, protocol = 0): number {
  return check(libc().socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), 'socket', about)
}

/** The next connection of a listening socket, which never waits either; undefined when there is none. */
export function acceptSocket(fd: number): number | undefined {
  const accepted = connectionCalls().accept4(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC)
  if (accepted >= 0) return accepted
  const errno = libc().errno()
  // One that broke off while it waited is none.
  if (['EAGAIN', 'ECONNABORTED'].includes(errnoName(errno))) return undefined
  throw new SystemCallError('accept4', errno)
}

/** Says that nothing more will be sent. */
export function endSending(fd: number): void {
  check(connectionCalls().shutdown(fd, SHUT_WR), 'shutdown')
}

/**
 * Opens a UDP socket for `address`, which `use` binds or connects and takes over. It is closed when that fails.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): EMFILE
 */
export function openDatagram<T>(
  { address, port }: SocketAddress,
  use: (fd: number, address: Uint8Array, about: string) => T,
): T {
  const about = `udp ${address} port ${port}`
  const encoded = encodeSocketAddress({ address, port })
  const fd = openSocket(familyOf(address), SOCK_DGRAM, about)
  try {
    return use(fd, encoded, about)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** With whom a listening socket has its address. */
export interface ListenOptions {
  /**
   * Let sockets of the same user that say the same of themselves have the port too, on other addresses
   * (SO_REUSEPORT). @defaultValue false
   */
  readonly isShared?: boolean | undefined
  /** Every address of IPv6 (`::`) is none of IPv4. @defaultValue false */
  readonly isOnlyIpv6?: boolean | undefined
}

/** Prepares a socket of `family` for being bound. */
export function applyListenOptions(fd: number, family: number, options: ListenOptions): void {
  if (options.isShared === true) setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1)
  if (options.isOnlyIpv6 === true && family === AF_INET6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
}

/** Connects, or begins to: of a stream, success is known once it can be written. */
export function beginConnect(fd: number, to: Uint8Array, about: string): void {
  if (libc().connect(fd, to, to.length) === 0) return
  const errno = libc().errno()
  if (errnoName(errno) !== 'EINPROGRESS') throw new SystemCallError('connect', errno, about)
}

const addressRoom = new Uint8Array(SOCKET_ADDRESS_BYTES)

/** Where a socket is bound. */
export function localAddressOf(fd: number): SocketAddress {
  check(libc().getsockname(fd, addressRoom, int32(addressRoom.length)), 'getsockname')
  return decodeSocketAddress(addressRoom)
}
