import { libc } from '../libc.ts'
import { check } from '../netlink-socket.ts'

// sys/socket.h, fcntl.h
const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0o2000000
const F_DUPFD_CLOEXEC = 1030

/**
 * Two ends of a connection, which the caller closes or hands over: `new net.Socket({ fd })`. Programs started from here
 * do not get them unless they are given them.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): EMFILE
 */
export function socketPair(): [number, number] {
  const fds = new Int32Array(2)
  check(libc().socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 'socketpair')
  return [fds[0] ?? -1, fds[1] ?? -1]
}

/** Another descriptor of the same file, which the caller closes. @throws SystemCallError (`ERR_SYSTEM_CALL`): EBADF, EMFILE */
export function duplicate(fd: number): number {
  return check(libc().fcntl(fd, F_DUPFD_CLOEXEC, 0), 'fcntl', `descriptor ${fd}`)
}
