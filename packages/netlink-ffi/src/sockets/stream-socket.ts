import { closeSync } from 'node:fs'
import { libc } from '../libc.ts'
import { check, setOption } from '../netlink-socket.ts'
import { applyListenOptions, beginConnect, localAddressOf, openSocket, type ListenOptions } from './native.ts'
import { encodeSocketAddress, familyOf, type SocketAddress } from './socket-address.ts'

// asm-generic/socket.h
const SOCK_STREAM = 1
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const BACKLOG = 128

/**
 * A TCP socket that listens on an address of the calling thread's namespace; port 0 is any that is
 * free. The caller closes `fd`, or hands it over: `net.createServer().listen({ fd })`.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): EADDRINUSE, EADDRNOTAVAIL, EMFILE
 */
export function listenStream(
  at: SocketAddress,
  options: ListenOptions = {},
): { readonly fd: number; readonly localAddress: SocketAddress } {
  return withSocket(at, (fd, address, about) => {
    // Connections of an earlier server that have not quite ended (TIME_WAIT) are not in the way.
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    applyListenOptions(fd, familyOf(at.address), options)
    check(libc().bind(fd, address, address.length), 'bind', about)
    check(libc().listen(fd, BACKLOG), 'listen', about)
    return { fd, localAddress: localAddressOf(fd) }
  })
}

/**
 * Begins a TCP connection from the calling thread's namespace and returns its descriptor, which the
 * caller closes or hands over: `new net.Socket({ fd })`, whose first write waits for the connection.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): ENETUNREACH, EMFILE
 */
export function connectStream(to: SocketAddress): number {
  return withSocket(to, (fd, address, about) => {
    beginConnect(fd, address, about)
    return fd
  })
}

function withSocket<T>(where: SocketAddress, work: (fd: number, address: Uint8Array, about: string) => T): T {
  const about = `tcp ${where.address} port ${where.port}`
  const address = encodeSocketAddress(where)
  const fd = openSocket(familyOf(where.address), SOCK_STREAM, about)
  try {
    return work(fd, address, about)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}
