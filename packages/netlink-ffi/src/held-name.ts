import { closeSync } from 'node:fs'
import { isNetError } from '@net/types'
import { viewOf } from './attributes.ts'
import { errnoName, isErrno, NameHeldError } from './errors.ts'
import { libc, watchReadable } from './libc.ts'
import { check } from './netlink-socket.ts'
import { littleEndian } from './writer.ts'

// linux/un.h, asm-generic/socket.h
const AF_UNIX = 1
const SOCK_CLOEXEC = 0o2000000
const SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | SOCK_CLOEXEC
/** So many may ask who holds a name while the holder's event loop is busy. */
const BACKLOG = 128
const SOL_SOCKET = 1
const SO_PEERCRED = 17
const MAX_NAME_BYTES = 107

/** Whether `error` says that another process holds the name. */
export function isNameHeld(error: unknown): error is NameHeldError {
  return isNetError(error, 'ERR_NAME_HELD')
}

/** A name in the calling thread's network namespace that one process at a time can hold. */
export interface HeldName extends Disposable {
  /** Lets it go. Safe to call twice. */
  close(): void
}

/**
 * Holds a name until it is closed or the process dies, whichever way: an abstract Unix socket, which leaves
 * no file behind.
 *
 * @throws NameHeldError (`ERR_NAME_HELD`) with the holder's process id
 */
export function holdName(name: string): HeldName {
  const address = encodeAbstractAddress(name)
  const fd = openUnixSocket()
  try {
    check(libc().bind(fd, address, address.length), 'bind', name)
    check(libc().listen(fd, BACKLOG), 'listen', name)
  } catch (error) {
    closeSync(fd)
    throw isErrno(error, 'EADDRINUSE') ? new NameHeldError(name, holderOf(address)) : error
  }
  const watch = watchReadable(fd, () => {
    if (!turnAway(fd)) watch.close()
  })
  let closed = false
  const close = (): void => {
    if (closed) return
    closed = true
    watch.close()
    closeSync(fd)
  }
  return { close, [Symbol.dispose]: close }
}

/** Makes room in the line for others who ask who holds the name. Returns false where that cannot be done any more. */
function turnAway(fd: number): boolean {
  for (;;) {
    const asker = libc().accept4(fd, null, null, SOCK_CLOEXEC)
    if (asker < 0) return errnoName(libc().errno()) === 'EAGAIN'
    closeSync(asker)
  }
}

/** The process at the other end, out of struct ucred. */
function holderOf(address: Uint8Array): number | undefined {
  const fd = openUnixSocket()
  try {
    const credentials = new Uint8Array(12)
    const length = new Uint8Array(Uint32Array.of(credentials.length).buffer)
    check(libc().connect(fd, address, address.length), 'connect')
    check(libc().getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length), 'getsockopt')
    return viewOf(credentials).getInt32(0, littleEndian)
  } catch {
    return undefined // it let go meanwhile, or has been busy for long
  } finally {
    closeSync(fd)
  }
}

function openUnixSocket(): number {
  return check(libc().socket(AF_UNIX, SOCK_STREAM_NONBLOCK_CLOEXEC, 0), 'socket', 'AF_UNIX')
}

/** struct sockaddr_un whose path begins with a zero byte. */
function encodeAbstractAddress(name: string): Uint8Array {
  const text = new TextEncoder().encode(name).subarray(0, MAX_NAME_BYTES)
  const bytes = new Uint8Array(3 + text.length)
  viewOf(bytes).setUint16(0, AF_UNIX, littleEndian)
  bytes.set(text, 3)
  return bytes
}
