import { allocateFixed } from '../fixed-memory.ts'
import { littleEndian } from '../writer.ts'
import { SOCKET_ADDRESS_BYTES } from './socket-address.ts'

/** Datagrams that one system call moves. */
const COUNT = 64
/** Room for a datagram. Longer ones are cut by the kernel and passed over here. */
const SLOT_BYTES = 4096
const ADDRESS_SLOT_BYTES = 32

// struct mmsghdr of a 64-bit kernel, linux/socket.h: where its members lie.
const HEADER_BYTES = 64
const NAME = 0
const NAME_LENGTH = 8
const VECTORS = 16
const VECTOR_COUNT = 24
const FLAGS = 48
const LENGTH = 56
// struct iovec
const VECTOR_BYTES = 16
const VECTOR_LENGTH = 8

const MSG_TRUNC = 0x20

/**
 * Room for datagrams that come in by one system call and are answered by another. What was received
 * is valid until the next {@link DatagramBatch.prepare}; nothing is allocated on the way. Its memory,
 * half a megabyte, is never given back: one serves all sockets of a program.
 */
export class DatagramBatch {
  /** What came in: datagram `at` begins at {@link DatagramBatch.start}. */
  readonly received: Uint8Array
  /** What goes out: the reply to datagram `at` begins there as well. */
  readonly replies: Uint8Array
  readonly #incoming = fixedHeaders()
  readonly #outgoing = fixedHeaders()
  readonly #names = allocateFixed(COUNT * ADDRESS_SLOT_BYTES)
  readonly #namePointers: readonly bigint[]
  readonly #replyPointers: readonly bigint[]
  #queued = 0

  constructor() {
    const received = allocateFixed(COUNT * SLOT_BYTES)
    const replies = allocateFixed(COUNT * SLOT_BYTES)
    this.received = received.bytes
    this.replies = replies.bytes
    this.#namePointers = slots.map((at) => this.#names.address + BigInt(at * ADDRESS_SLOT_BYTES))
    this.#replyPointers = slots.map((at) => replies.address + BigInt(at * SLOT_BYTES))
    for (const at of slots) {
      const { view, vectors } = this.#incoming
      view.setBigUint64(at * HEADER_BYTES + NAME, this.#namePointers[at] ?? 0n, littleEndian)
      vectors.setBigUint64(at * VECTOR_BYTES, received.address + BigInt(at * SLOT_BYTES), littleEndian)
      vectors.setBigUint64(at * VECTOR_BYTES + VECTOR_LENGTH, BigInt(SLOT_BYTES), littleEndian)
    }
  }

  /** Datagrams that fit in at once. */
  readonly count: number = COUNT

  /** Where datagram `at`, and the reply to it, begins. */
  start(at: number): number {
    return at * SLOT_BYTES
  }

  /** Length of the datagram received, or 0 when it was too long to be had whole. */
  length(at: number): number {
    const header = at * HEADER_BYTES
    const { view } = this.#incoming
    if ((view.getInt32(header + FLAGS, littleEndian) & MSG_TRUNC) !== 0) return 0
    return view.getUint32(header + LENGTH, littleEndian)
  }

  /** A copy of where datagram `at` came from, for an answer that comes later. */
  sender(at: number): Uint8Array {
    const length = this.#incoming.view.getUint32(at * HEADER_BYTES + NAME_LENGTH, littleEndian)
    return this.#names.bytes.slice(at * ADDRESS_SLOT_BYTES, at * ADDRESS_SLOT_BYTES + length)
  }

  /** Puts an answer to the sender of datagram `at` in line; false when it is too long for a slot. */
  reply(at: number, payload: Uint8Array): boolean {
    if (payload.length > SLOT_BYTES) return false
    const { view, vectors } = this.#outgoing
    const header = this.#queued * HEADER_BYTES
    const vector = this.#queued * VECTOR_BYTES
    this.replies.set(payload, at * SLOT_BYTES)
    view.setBigUint64(header + NAME, this.#namePointers[at] ?? 0n, littleEndian)
    view.setUint32(
      header + NAME_LENGTH,
      this.#incoming.view.getUint32(at * HEADER_BYTES + NAME_LENGTH, littleEndian),
      littleEndian,
    )
    vectors.setBigUint64(vector, this.#replyPointers[at] ?? 0n, littleEndian)
    // Lengths of a slot fit into the lower half, and setting that allocates no bigint.
    vectors.setUint32(vector + VECTOR_LENGTH + (littleEndian ? 0 : 4), payload.length, littleEndian)
    this.#queued++
    return true
  }

  /** Number of answers in line; asking empties the line. */
  takeQueued(): number {
    const queued = this.#queued
    this.#queued = 0
    return queued
  }

  /** Makes ready for what comes in next; answers that are still in line are dropped. The headers for recvmmsg. */
  prepare(): Uint8Array {
    this.#queued = 0
    const { view, bytes } = this.#incoming
    for (let at = 0; at < COUNT; at++)
      view.setUint32(at * HEADER_BYTES + NAME_LENGTH, SOCKET_ADDRESS_BYTES, littleEndian)
    return bytes
  }

  /** The headers for sendmmsg, from the answer `from` on. */
  outgoing(from: number): Uint8Array {
    return from === 0 ? this.#outgoing.bytes : this.#outgoing.bytes.subarray(from * HEADER_BYTES)
  }
}

const slots: readonly number[] = Array.from({ length: COUNT }, (_, at) => at)

/** Headers whose vectors, one each, lie beside them. */
function fixedHeaders(): { readonly bytes: Uint8Array; readonly view: DataView; readonly vectors: DataView } {
  const headers = allocateFixed(COUNT * HEADER_BYTES)
  const vectors = allocateFixed(COUNT * VECTOR_BYTES)
  const view = new DataView(headers.bytes.buffer)
  for (const at of slots) {
    view.setBigUint64(at * HEADER_BYTES + VECTORS, vectors.address + BigInt(at * VECTOR_BYTES), littleEndian)
    view.setBigUint64(at * HEADER_BYTES + VECTOR_COUNT, 1n, littleEndian)
  }
  return { bytes: headers.bytes, view, vectors: new DataView(vectors.bytes.buffer) }
}
