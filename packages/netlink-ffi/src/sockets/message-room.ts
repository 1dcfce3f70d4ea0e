import koffi from 'koffi'
import { viewOf } from '../attributes.ts'
import { allocateFixed } from '../fixed-memory.ts'
import { littleEndian } from '../writer.ts'
import { SOCKET_ADDRESS_BYTES } from './socket-address.ts'

const MAX_BYTES = 65_535
const CONTROL_BYTES = 64
// struct msghdr of a 64-bit kernel, linux/socket.h: where its members lie.
const HEADER_BYTES = 56
const NAME = 0
const NAME_LENGTH = 8
const VECTORS = 16
const VECTOR_COUNT = 24
const CONTROL = 32
const CONTROL_LENGTH = 40
const FLAGS = 48
const VECTOR_LENGTH = 8

/** One message with its header, address and control message, in memory that does not move. */
export class MessageRoom {
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

  /** Whatever was received, and behind it what is left of others. */
  get payload(): Uint8Array {
    return this.#payload.bytes
  }

  /** struct sockaddr_in or sockaddr_in6 of who sent it. */
  get name(): Uint8Array {
    return this.#name.bytes.subarray(0, this.#view.getUint32(NAME_LENGTH, littleEndian))
  }

  /** The control messages that came with it. */
  get control(): Uint8Array {
    return this.#control.bytes.subarray(0, Number(this.#view.getBigUint64(CONTROL_LENGTH, littleEndian)))
  }

  /** What the kernel says about it: MSG_EOR, … */
  get flags(): number {
    return this.#view.getUint32(FLAGS, littleEndian)
  }

  /** Makes ready to receive. The header for recvmsg. */
  prepare(): Uint8Array {
    return this.#prepare(MAX_BYTES, SOCKET_ADDRESS_BYTES, CONTROL_BYTES)
  }

  /** Makes ready to send. The header for sendmsg. */
  fill(payload: Uint8Array, name: Uint8Array, control: Uint8Array): Uint8Array {
    this.#payload.bytes.set(payload)
    this.#name.bytes.set(name)
    this.#control.bytes.set(control)
    return this.#prepare(payload.length, name.length, control.length)
  }

  #prepare(lengthBytes: number, nameBytes: number, controlBytes: number): Uint8Array {
    viewOf(this.#vector.bytes).setBigUint64(VECTOR_LENGTH, BigInt(lengthBytes), littleEndian)
    this.#view.setUint32(NAME_LENGTH, nameBytes, littleEndian)
    this.#view.setBigUint64(CONTROL_LENGTH, BigInt(controlBytes), littleEndian)
    return this.#header.bytes
  }
}

let sharedRoom: MessageRoom | undefined

/** One serves all sockets: what is received is copied out of it at once. */
export function messageRoom(): MessageRoom {
  return (sharedRoom ??= new MessageRoom())
}

interface MessageCalls {
  recvmsg(fd: number, header: Uint8Array, flags: number): number
  sendmsg(fd: number, header: Uint8Array, flags: number): number
}

let calls: MessageCalls | undefined

/** Bound when first asked for. */
export function messageCalls(): MessageCalls {
  return (calls ??= {
    recvmsg: koffi.load(null).func('intptr_t recvmsg(int fd, void *header, int flags)'),
    sendmsg: koffi.load(null).func('intptr_t sendmsg(int fd, const void *header, int flags)'),
  })
}
