import { closeSync } from 'node:fs'
import { ClosedError } from '@net/types'
import { libc } from '../libc.ts'
import { check } from '../netlink-socket.ts'
import { Readiness } from '../readiness.ts'
import { acceptSocket, applyListenOptions, localAddressOf, type ListenOptions } from './native.ts'
import { openSctp, SctpSocket, setStreams } from './sctp-socket.ts'
import { encodeSocketAddress, familyOf, type SocketAddress } from './socket-address.ts'

const BACKLOG = 128
/** Streams towards who connects, unless he wants fewer: the kernel has memory ready for each. */
const OFFERED_STREAMS = 64

/** An SCTP socket that listens on an address of the namespace it was opened in. */
export class SctpListener {
  readonly #fd: number
  #readiness: Readiness | undefined
  #closed = false

  private constructor(fd: number) {
    this.#fd = fd
  }

  /**
   * Opens one; port 0 is any that is free.
   *
   * @throws SystemCallError (`ERR_SYSTEM_CALL`): EADDRINUSE, EADDRNOTAVAIL, EMFILE, and EPROTONOSUPPORT or
   *   ESOCKTNOSUPPORT where the kernel has no SCTP
   */
  static listen(at: SocketAddress, options: ListenOptions = {}): SctpListener {
    const about = `sctp ${at.address} port ${at.port}`
    const address = encodeSocketAddress(at)
    const fd = openSctp(at, about)
    try {
      applyListenOptions(fd, familyOf(at.address), options)
      check(libc().bind(fd, address, address.length), 'bind', about)
      return SctpListener.adopt(fd)
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  /** Takes over fd, on success: a socket of SCTP that is bound, or listens. @throws SystemCallError (`ERR_SYSTEM_CALL`) */
  static adopt(fd: number): SctpListener {
    setStreams(fd, OFFERED_STREAMS)
    check(libc().listen(fd, BACKLOG), 'listen', `descriptor ${fd}`)
    return new SctpListener(fd)
  }

  /** Its descriptor, for handing it over. It stays ours. */
  get fd(): number {
    return this.#live()
  }

  get localAddress(): SocketAddress {
    return localAddressOf(this.#live())
  }

  /** Calls `onReadable` from the event loop while somebody waits to be accepted. Keeps no process alive. */
  watch(onReadable: () => void): void {
    this.#readiness?.close()
    this.#readiness = new Readiness(this.#live(), onReadable)
    this.resume()
  }

  /** Lets those who come wait, until {@link SctpListener.resume}. */
  pause(): void {
    this.#readiness?.wait({ readable: false, writable: false })
  }

  resume(): void {
    this.#readiness?.wait({ readable: true, writable: false })
  }

  /** Who came next, or undefined when there is nobody. @throws SystemCallError (`ERR_SYSTEM_CALL`): EMFILE, ENOBUFS */
  accept(): SctpSocket | undefined {
    const fd = acceptSocket(this.#live())
    if (fd === undefined) return undefined
    try {
      return SctpSocket.adopt(fd)
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  /** Safe to call twice. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#readiness?.close()
    closeSync(this.#fd)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #live(): number {
    if (this.#closed) throw new ClosedError('sctp listener')
    return this.#fd
  }
}
