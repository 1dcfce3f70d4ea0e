import { closeSync } from 'node:fs'
import { ClosedError } from '@net/types'
import { errnoName, SystemCallError } from '../errors.ts'
import { libc, watchReadable } from '../libc.ts'
import { check, int32, setOption } from '../netlink-socket.ts'
import type { DatagramBatch } from './datagram-batch.ts'
import { beginConnect, datagramCalls, localAddressOf, openDatagram } from './native.ts'
import type { SocketAddress } from './socket-address.ts'

const MSG_DONTWAIT = 0x40
// asm-generic/socket.h
const SOL_SOCKET = 1
const SO_RCVBUF = 8
const SO_RCVBUFFORCE = 33
/** The longest UDP datagram. */
const MAX_BYTES = 65_535

/** How a socket is bound. */
export interface BindOptions {
  /** Room for what comes in while the event loop is busy; the kernel may grant less. @defaultValue the kernel's */
  readonly bufferBytes?: number
}

/** A UDP socket of the namespace it was opened in. It never waits: what cannot be sent at once is dropped, as UDP may. */
export class DatagramSocket {
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
  static bind(at: SocketAddress, options: BindOptions = {}): DatagramSocket {
    return openDatagram(at, (fd, address, about) => {
      if (options.bufferBytes !== undefined) enlargeBuffer(fd, options.bufferBytes)
      check(libc().bind(fd, address, address.length), 'bind', about)
      return DatagramSocket.adopt(fd)
    })
  }

  /**
   * Opens one, on a free port, that hears nobody but `to`.
   *
   * @throws SystemCallError (`ERR_SYSTEM_CALL`): ENETUNREACH, EMFILE
   */
  static connect(to: SocketAddress): DatagramSocket {
    return openDatagram(to, (fd, address, about) => {
      beginConnect(fd, address, about)
      return DatagramSocket.adopt(fd)
    })
  }

  /** Takes over fd. */
  static adopt(fd: number): DatagramSocket {
    return new DatagramSocket(fd)
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

  /** Takes what has come in, up to what fits into `batch`. Returns how many datagrams that is. */
  receiveBatch(batch: DatagramBatch): number {
    const count = datagramCalls().recvmmsg(this.#live(), batch.prepare(), batch.count, MSG_DONTWAIT)
    return count >= 0 ? count : nothing('recvmmsg')
  }

  /** Sends the answers in line. One that is refused is passed over; when the socket is full, so is the rest. */
  sendBatch(batch: DatagramBatch): void {
    const count = batch.takeQueued()
    for (let from = 0; from < count;) {
      const sent = datagramCalls().sendmmsg(this.#live(), batch.outgoing(from), count - from, MSG_DONTWAIT)
      if (sent < 0 && errnoName(libc().errno()) === 'EAGAIN') return
      from += Math.max(sent, 1)
    }
  }

  /** Sends one datagram to where another came from; see {@link DatagramBatch.sender}. False when the kernel refused. */
  sendTo(payload: Uint8Array, to: Uint8Array): boolean {
    return datagramCalls().sendto(this.#live(), payload, MSG_DONTWAIT, to) >= 0
  }

  /**
   * Sends one datagram to whom the socket is connected with.
   *
   * @throws SystemCallError (`ERR_SYSTEM_CALL`): ECONNREFUSED when an earlier one met no listener
   */
  send(payload: Uint8Array): void {
    check(libc().send(this.#live(), payload, payload.length, MSG_DONTWAIT), 'send')
  }

  /**
   * The next datagram, or undefined when there is none.
   *
   * @throws SystemCallError (`ERR_SYSTEM_CALL`): ECONNREFUSED when nobody listens there
   */
  receive(): Uint8Array | undefined {
    const buffer = receiveBuffer()
    const length = libc().recv(this.#live(), buffer, buffer.length, MSG_DONTWAIT)
    if (length >= 0) return buffer.slice(0, length)
    nothing('recv')
    return undefined
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
    if (this.#closed) throw new ClosedError('datagram socket')
    return this.#fd
  }
}

function enlargeBuffer(fd: number, bytes: number): void {
  // Beyond net.core.rmem_max only with CAP_NET_ADMIN over the first user namespace.
  if (libc().setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, int32(bytes), 4) === 0) return
  setOption(fd, SOL_SOCKET, SO_RCVBUF, bytes)
}

/** 0 when the call failed because nothing had come in; else the failure thrown. */
function nothing(call: string): 0 {
  const errno = libc().errno()
  if (errnoName(errno) === 'EAGAIN') return 0
  throw new SystemCallError(call, errno)
}

let sharedBuffer: Uint8Array | undefined

/** One buffer serves all sockets: what is received is copied out of it at once. */
function receiveBuffer(): Uint8Array {
  return (sharedBuffer ??= new Uint8Array(MAX_BYTES))
}
