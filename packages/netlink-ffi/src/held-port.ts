import { closeSync } from 'node:fs'
import { addressToBytes, checkPort, parseAddress, type Address } from '@net/types'
import { viewOf } from './attributes.ts'
import { isErrno } from './errors.ts'
import { libc } from './libc.ts'
import { check, setOption } from './netlink-socket.ts'
import { AF_INET, AF_INET6 } from './rtnetlink/address.ts'
import { littleEndian } from './writer.ts'

// asm-generic/socket.h, linux/in.h, linux/in6.h
const SOCK_CLOEXEC = 0o2000000
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_RCVBUF = 8
const SO_REUSEPORT = 15
const socketTypes = { tcp: [1, 6], udp: [2, 17], sctp: [1, 132] } as const

/** A port of the calling thread's namespace that no other program can bind meanwhile. */
export interface HeldPort extends Disposable {
  /** Safe to call twice. */
  close(): void
}

/** A held port that can be left to others for a moment. */
export interface SharablePort extends HeldPort {
  /**
   * Whether sockets of the same user that are shared as well (SO_REUSEPORT) may be bound to the port from now on, on
   * other addresses. Those that are stay.
   */
  setShared(isShared: boolean): void
}

/** Which port to hold. */
export interface HoldPortRequest {
  readonly protocol: keyof typeof socketTypes
  readonly port: number
  readonly address?: string | undefined
  /** Begin with {@link SharablePort.setShared}: beside shared sockets that are bound already. @defaultValue false */
  readonly isShared?: boolean | undefined
}

/**
 * Binds a socket to a port and neither listens nor reads: nobody else gets the port. Without an
 * address, every address of both families (of IPv4 alone where the kernel has no IPv6). Where a server that has ended
 * left connections behind, a program that sets SO_REUSEADDR may get it all the same.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): EADDRINUSE, EADDRNOTAVAIL (no address of this host),
 *   EPROTONOSUPPORT (SCTP, where the kernel lacks it), EMFILE
 */
export function holdPort(request: HoldPortRequest): SharablePort {
  checkPort(request.port)
  const fd = request.address === undefined ? holdAny(request) : holdAddress(request, parseAddress(request.address))
  let closed = false
  const close = (): void => {
    if (closed) return
    closed = true
    closeSync(fd)
  }
  const setShared = (isShared: boolean): void => {
    if (!closed) setOption(fd, SOL_SOCKET, SO_REUSEPORT, isShared ? 1 : 0)
  }
  return { setShared, close, [Symbol.dispose]: close }
}

function holdAny(request: HoldPortRequest): number {
  try {
    return bindSocket(request, { family: 6, value: 0n }, 'both families')
  } catch (error) {
    if (!isErrno(error, 'EAFNOSUPPORT', 'EADDRNOTAVAIL')) throw error
    return bindSocket(request, { family: 4, value: 0n }, 'one family')
  }
}

function holdAddress(request: HoldPortRequest, address: Address): number {
  return bindSocket(request, address, 'one family')
}

function bindSocket(request: HoldPortRequest, address: Address, reach: 'both families' | 'one family'): number {
  const [type, protocol] = socketTypes[request.protocol]
  const family = address.family === 4 ? AF_INET : AF_INET6
  const about = `${request.protocol} port ${request.port}`
  const fd = check(libc().socket(family, type | SOCK_CLOEXEC, protocol), 'socket', about)
  try {
    if (address.family === 6) {
      setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, reach === 'one family' ? 1 : 0)
    }
    if (request.isShared === true) setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1)
    // What is sent to a port before its rules are there, or past them, waits in the kernel for nobody: as little of it
    // as the kernel allows.
    if (request.protocol === 'udp') setOption(fd, SOL_SOCKET, SO_RCVBUF, 1)
    const socketAddress = encodeSocketAddress(address, request.port)
    const bind = (): number => check(libc().bind(fd, socketAddress, socketAddress.length), 'bind', about)
    if (request.protocol === 'tcp') pastConnections(fd, bind)
    else bind()
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/**
 * Connections of a server that has ended stay for a minute (TIME_WAIT), and keep its port from sockets that do not say
 * that they mind none. One that says so gets no port that a server listens on, either.
 */
function pastConnections(fd: number, bind: () => void): void {
  try {
    bind()
  } catch (error) {
    if (!isErrno(error, 'EADDRINUSE')) throw error
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    bind()
    // Others that mind none are to be refused from now on, as far as the kernel goes along.
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 0)
  }
}

/** struct sockaddr_in (16 bytes) or sockaddr_in6 (28 bytes), linux/in.h and linux/in6.h. */
function encodeSocketAddress(address: Address, port: number): Uint8Array {
  const bytes = new Uint8Array(address.family === 4 ? 16 : 28)
  const view = viewOf(bytes)
  view.setUint16(0, address.family === 4 ? AF_INET : AF_INET6, littleEndian)
  view.setUint16(2, port)
  bytes.set(addressToBytes(address), address.family === 4 ? 4 : 8)
  return bytes
}
