import { closeSync } from 'node:fs'
import { ClosedError, Mutex, silentLogger, Turns, type CallOptions, type Logger } from '@net/types'
import { attributes, i32, viewOf, zstring } from './attributes.ts'
import {
  DumpInterruptedError,
  errnoName,
  MalformedMessageError,
  NetlinkError,
  NoReplyError,
  SystemCallError,
} from './errors.ts'
import { libc } from './libc.ts'
import {
  HEADER_LENGTH,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_OVERRUN,
  walkMessages,
  writeMessage,
  type NetlinkMessage,
  type ReceivedMessage,
} from './message.ts'
import { filterOf, type FieldTest } from './socket-filter.ts'
import { littleEndian, Writer } from './writer.ts'

// linux/socket.h, asm-generic/socket.h, linux/netlink.h
const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_RCVBUF = 8
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const SO_ATTACH_FILTER = 26
const SOL_NETLINK = 270
const NETLINK_ADD_MEMBERSHIP = 1
const NETLINK_LISTEN_ALL_NSID = 8
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12
const MSG_DONTWAIT = 0x40
const MSG_TRUNC = 0x20
const NLM_F_CAPPED = 0x100
const NLM_F_ACK_TLVS = 0x200
/** struct sockaddr_nl */
const ADDRESS_LENGTH = 12
const ADDRESS_PORT = 4
/** Whose port the kernel's own messages come from. */
const KERNEL_PORT = 0

/** The kernel fills at most 32 KiB a datagram of a dump, and sends no longer answers to what we ask. */
const RECEIVE_BYTES = 64 * 1024
const DUMP_ATTEMPTS = 10

/** struct sockaddr_nl: the kernel chooses the port. */
const anyPort = new Uint8Array(ADDRESS_LENGTH)
viewOf(anyPort).setUint16(0, AF_NETLINK, littleEndian)

/** Of all sockets, of which an attach opens several: between writing and sending nobody else has his say. */
const shared = new Writer()

/** linux/netlink.h: enum nlmsgerr_attrs */
const extendedAck = attributes({ message: [1, zstring] })

export interface NetlinkSocketOptions {
  /** Logs each message sent, in words, at debug level. */
  readonly logger?: Logger | undefined
  /** Multicast groups to listen to. */
  readonly groups?: readonly number[]
  /** Listens to those groups of every namespace that this one has a number for. @defaultValue of this one */
  readonly everywhere?: boolean | undefined
  /** Wanted size of the send and receive buffers, in bytes; the kernel may grant less. 0 leaves them as they come. */
  readonly bufferBytes?: number
}

/** What came back for a batch. */
export interface BatchResult {
  /** Answers other than acknowledgements (NLM_F_ECHO), copied. */
  readonly replies: readonly ReceivedMessage[]
  /** Refusals, in the order of the messages they answer. */
  readonly errors: readonly { readonly index: number; readonly error: NetlinkError }[]
}

/**
 * A netlink socket in the network namespace it was opened in, where it stays.
 * The kernel answers before `send` returns, so an exchange is a plain synchronous call.
 */
export class NetlinkSocket {
  readonly #fd: number
  readonly #logger: Logger
  readonly #offLoop = new Mutex()
  #sequence = 1
  #closed = false

  private constructor(fd: number, logger: Logger) {
    this.#fd = fd
    this.#logger = logger
  }

  /** @throws SystemCallError (`ERR_SYSTEM_CALL`) when the kernel lacks the protocol */
  static open(protocol: number, options: NetlinkSocketOptions = {}): NetlinkSocket {
    const fd = check(libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), 'socket', 'AF_NETLINK')
    try {
      setOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1)
      setOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1)
      setOption(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
      if (options.bufferBytes !== undefined && options.bufferBytes > 0) enlargeBuffers(fd, options.bufferBytes)
      check(libc().bind(fd, anyPort, anyPort.length), 'bind', 'AF_NETLINK')
      // After bind, which sets the first 32 memberships to those its address names: none.
      if (options.everywhere === true) setOption(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1)
      for (const group of options.groups ?? []) setOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
      return new NetlinkSocket(fd, options.logger ?? silentLogger)
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  /** The descriptor, for watching; the socket keeps it. */
  get fd(): number {
    return this.#fd
  }

  /** The number that the kernel knows it by: answers, and reports of what it changed, bear it. */
  get port(): number {
    const address = new Uint8Array(ADDRESS_LENGTH)
    const length = new Uint8Array(Uint32Array.of(address.length).buffer)
    check(libc().getsockname(this.#live(), address, length), 'getsockname', 'AF_NETLINK')
    return viewOf(address).getUint32(ADDRESS_PORT, littleEndian)
  }

  /** Hears only of what passes `tests`: the kernel drops the rest before it is queued. */
  filter(tests: readonly FieldTest[], otherwise: FieldTest['then']): void {
    const program = filterOf(tests, otherwise)
    check(libc().setsockopt(this.#live(), SOL_SOCKET, SO_ATTACH_FILTER, program, program.length), 'setsockopt')
  }

  /**
   * Sends all messages at once; they are carried out in order. The batch is not atomic:
   * after a refusal the rest is still carried out.
   *
   * @returns answers that are not acknowledgements
   * @throws NetlinkError (`ERR_NETLINK`): the first refusal
   */
  request(...messages: readonly NetlinkMessage[]): readonly ReceivedMessage[] {
    const { replies, errors } = this.exchange(messages)
    if (errors[0] !== undefined) throw errors[0].error
    return replies
  }

  /**
   * As {@link NetlinkSocket.request}, but hands over every refusal instead of throwing the first.
   *
   * @param acknowledged index of the message whose acknowledgement ends the exchange: the last
   *   one, save in a batch of nfnetlink, whose end mark is not acknowledged by every kernel
   */
  exchange(messages: readonly NetlinkMessage[], acknowledged: number = messages.length - 1): BatchResult {
    if (messages.length === 0) return { replies: [], errors: [] }
    const first = this.#send(messages, (writer) => this.#frame(writer, messages, acknowledged))
    return this.#collect(messages, first, acknowledged)
  }

  /**
   * As {@link NetlinkSocket.request}, for what makes the kernel wait (deleting links): the
   * event loop goes on meanwhile. Such calls of one socket wait for each other; do not mix
   * them with synchronous ones on the same socket.
   */
  async requestOffLoop(messages: readonly NetlinkMessage[], call?: CallOptions): Promise<BatchResult> {
    using _turn = await this.#offLoop.lock(call)
    if (messages.length === 0) return { replies: [], errors: [] }
    const writer = new Writer()
    const first = this.#frame(writer, messages, messages.length - 1)
    const bytes = writer.written()
    await this.#sendOffLoop(bytes, messages)
    return this.#collect(messages, first, messages.length - 1)
  }

  /**
   * As {@link NetlinkSocket.dump}, for long lists, and those that the kernel searches long for few items: the event loop
   * goes on meanwhile. As with {@link NetlinkSocket.requestOffLoop}, use a socket that serves nothing else.
   */
  async dumpOffLoop<T>(
    message: NetlinkMessage,
    decode: (message: ReceivedMessage) => T | undefined,
    call?: CallOptions,
  ): Promise<T[]> {
    using _turn = await this.#offLoop.lock(call)
    const turns = new Turns()
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const writer = new Writer()
      const sequence = this.#frameDump(writer, message)
      await this.#sendOffLoop(writer.written(), [message])
      const reading = this.#readDump(message, sequence, decode)
      let read = reading.next()
      while (read.done !== true) {
        await turns.take(call)
        read = reading.next()
      }
      if (read.value !== undefined) return read.value
    }
    throw new DumpInterruptedError(message.describe(), DUMP_ATTEMPTS)
  }

  /**
   * Reads a whole list, again from the start when the kernel says it changed meanwhile.
   *
   * @throws NetlinkError (`ERR_NETLINK`), DumpInterruptedError (`ERR_DUMP_INTERRUPTED`)
   */
  dump<T>(message: NetlinkMessage, decode: (message: ReceivedMessage) => T | undefined): T[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      const items = this.#dumpOnce(message, decode)
      if (items !== undefined) return items
    }
    throw new DumpInterruptedError(message.describe(), DUMP_ATTEMPTS)
  }

  /**
   * As {@link NetlinkSocket.dump}, of a list that somebody else may have made long: `too-many` where the kernel tells
   * of more than `limit` things. What it has told by then is all that it does; the socket is of no more use, and closing
   * it ends the list.
   */
  dumpUpTo<T>(
    limit: number,
    message: NetlinkMessage,
    decode: (message: ReceivedMessage) => T | undefined,
  ): T[] | 'too-many' {
    let left = limit
    const counted = (received: ReceivedMessage): T | undefined => {
      if (left-- === 0) throw limitPassed
      return decode(received)
    }
    try {
      return this.dump(message, counted)
    } catch (error) {
      if (error === limitPassed) return 'too-many'
      throw error
    }
  }

  /** Reads what waits in the socket, without waiting. Returns false when nothing does. For multicast events. */
  receive(visit: (message: ReceivedMessage) => void): boolean {
    const datagram = this.#receive()
    if (datagram === undefined) return false
    walkMessages(datagram, visit)
    return true
  }

  /** Safe to call twice. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.#fd)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #live(): number {
    if (this.#closed) throw new ClosedError('netlink socket')
    return this.#fd
  }

  /** Only one message asks for an acknowledgement: refusals come unasked. */
  #frame(writer: Writer, messages: readonly NetlinkMessage[], acknowledged: number): number {
    const first = this.#sequence
    messages.forEach((message, index) => {
      writeMessage(writer, message, index === acknowledged ? NLM_F_ACK : 0, this.#nextSequence())
    })
    return first
  }

  #nextSequence(): number {
    const sequence = this.#sequence
    this.#sequence = (this.#sequence + 1) >>> 0
    return sequence
  }

  /** Sends what `frame` writes, and returns what it returns. */
  #send(messages: readonly NetlinkMessage[], frame: (writer: Writer) => number): number {
    const fd = this.#live()
    if (this.#logger !== silentLogger) {
      for (const message of messages) this.#logger.debug({ message: message.describe() }, 'netlink request')
    }
    shared.clear()
    const framed = frame(shared)
    const bytes = shared.written()
    if (libc().send(fd, bytes, bytes.length, 0) < 0) {
      throw new SystemCallError('send', libc().errno(), messages[0]?.describe())
    }
    return framed
  }

  async #sendOffLoop(bytes: Uint8Array, messages: readonly NetlinkMessage[]): Promise<void> {
    const sent = await libc().sendAsync(this.#live(), bytes, bytes.length, 0)
    if (sent < 0) throw new NoReplyError(messages[0]?.describe() ?? '')
  }

  /** Reads the answers. When some were lost (ENOBUFS), the rest is of no use, and must not fill the buffer. */
  #collect(messages: readonly NetlinkMessage[], first: number, acknowledged: number): BatchResult {
    try {
      return this.#readAnswers(messages, first, acknowledged)
    } catch (error) {
      this.#drain()
      throw error
    }
  }

  #drain(): void {
    for (let more = true; more;) {
      try {
        more = this.#receive() !== undefined
      } catch (error) {
        if (!(error instanceof SystemCallError) || errnoName(error.errno) !== 'ENOBUFS') throw error
      }
    }
  }

  #readAnswers(messages: readonly NetlinkMessage[], first: number, acknowledged: number): BatchResult {
    const replies: ReceivedMessage[] = []
    const errors: { index: number; error: NetlinkError }[] = []
    const exchange = { done: false }
    while (!exchange.done) {
      const datagram = this.#receive()
      if (datagram === undefined) {
        if (errors.length > 0) break // refused before the batch was looked at
        throw new NoReplyError(messages[0]?.describe() ?? '')
      }
      walkMessages(datagram, (message) => {
        const index = (message.sequence - first) >>> 0
        const request = messages[index]
        if (request === undefined) return // an answer to a call that gave up
        if (message.type !== NLMSG_ERROR) {
          replies.push({ ...message, payload: message.payload.slice() })
          return
        }
        const error = readError(message, request)
        if (error !== undefined) errors.push({ index, error })
        if (index === acknowledged) exchange.done = true
      })
    }
    return { replies, errors }
  }

  #dumpOnce<T>(request: NetlinkMessage, decode: (message: ReceivedMessage) => T | undefined): T[] | undefined {
    const sequence = this.#send([request], (writer) => this.#frameDump(writer, request))
    const reading = this.#readDump(request, sequence, decode)
    let read = reading.next()
    while (read.done !== true) read = reading.next()
    return read.value
  }

  #frameDump(writer: Writer, request: NetlinkMessage): number {
    const sequence = this.#nextSequence()
    writeMessage(writer, request, NLM_F_DUMP, sequence)
    return sequence
  }

  /** Reads a dump that was asked for, a datagram a step: its items, or undefined when the list changed meanwhile. */
  *#readDump<T>(
    request: NetlinkMessage,
    sequence: number,
    decode: (message: ReceivedMessage) => T | undefined,
  ): Generator<undefined, T[] | undefined> {
    const items: T[] = []
    const dump = { done: false, interrupted: false }
    while (!dump.done) {
      yield
      const datagram = this.#receive()
      if (datagram === undefined) throw new NoReplyError(request.describe())
      walkMessages(datagram, (message) => {
        if (message.sequence !== sequence) return
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) dump.interrupted = true
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          dump.done = true
          const error = readError(message, request)
          if (error !== undefined && errnoName(error.errno) !== 'EINTR') throw error
          if (error !== undefined) dump.interrupted = true
        } else if (message.type === NLMSG_OVERRUN) {
          dump.interrupted = true
        } else {
          const item = decode(message)
          if (item !== undefined) items.push(item)
        }
      })
    }
    return dump.interrupted ? undefined : items
  }

  /**
   * The next datagram, in a buffer that the next call overwrites; undefined when there is none. Programs may speak to
   * sockets and groups, too, those of a sandbox to groups there: what is not the kernel's is as good as empty.
   */
  #receive(): Uint8Array | undefined {
    const { bytes: buffer, sender, senderLength } = receiveRoom()
    const flags = MSG_DONTWAIT | MSG_TRUNC
    const length = libc().recvfrom(this.#live(), buffer, buffer.length, flags, sender.bytes, senderLength)
    if (length < 0) {
      const errno = libc().errno()
      if (errnoName(errno) === 'EAGAIN') return undefined
      throw new SystemCallError('recvfrom', errno, 'AF_NETLINK')
    }
    if (sender.view.getUint32(ADDRESS_PORT, littleEndian) !== KERNEL_PORT) return buffer.subarray(0, 0)
    if (length > buffer.length) throw new MalformedMessageError(`datagram of ${length} bytes`, buffer.length)
    return buffer.subarray(0, length)
  }
}

const limitPassed = new Error('more than was asked for')

/** Room for one datagram, and for the address that it came from. */
interface ReceiveRoom {
  readonly bytes: Uint8Array
  readonly sender: { readonly bytes: Uint8Array; readonly view: DataView }
  /** The kernel finds in it how much room the address has, and leaves how long it is: always the same. */
  readonly senderLength: Uint8Array
}

let sharedRoom: ReceiveRoom | undefined

/** One serves all sockets: whatever is received is read before anything else runs. */
function receiveRoom(): ReceiveRoom {
  return (sharedRoom ??= makeRoom())
}

function makeRoom(): ReceiveRoom {
  const address = new Uint8Array(ADDRESS_LENGTH)
  return {
    bytes: new Uint8Array(RECEIVE_BYTES),
    sender: { bytes: address, view: viewOf(address) },
    senderLength: new Uint8Array(Uint32Array.of(ADDRESS_LENGTH).buffer),
  }
}

/** The refusal in an NLMSG_ERROR (or the end of a dump), or undefined where it is an acknowledgement. */
function readError(message: ReceivedMessage, request: NetlinkMessage): NetlinkError | undefined {
  const { payload, flags } = message
  if (payload.length < 4) throw new MalformedMessageError('error code cut short', HEADER_LENGTH)
  const code = i32.read(payload)
  if (code >= 0) return undefined
  return new NetlinkError(request.describe(), -code, kernelMessageOf(message.type, payload, flags))
}

function kernelMessageOf(type: number, payload: Uint8Array, flags: number): string | undefined {
  if ((flags & NLM_F_ACK_TLVS) === 0) return undefined
  // The code is followed by the header of the request (all of it, unless capped), then by attributes.
  const requestLength =
    type === NLMSG_DONE
      ? 0
      : (flags & NLM_F_CAPPED) !== 0
        ? HEADER_LENGTH
        : payload.length >= 8
          ? viewOf(payload).getUint32(4, littleEndian)
          : 0
  return extendedAck.read(payload, 4 + (((requestLength + 3) & ~3) >>> 0)).message
}

function enlargeBuffers(fd: number, bytes: number): void {
  for (const [force, plain] of [
    [SO_SNDBUFFORCE, SO_SNDBUF],
    [SO_RCVBUFFORCE, SO_RCVBUF],
  ] as const) {
    // Beyond net.core.wmem_max only with CAP_NET_ADMIN over the first user namespace.
    if (libc().setsockopt(fd, SOL_SOCKET, force, int32(bytes), 4) < 0) setOption(fd, SOL_SOCKET, plain, bytes)
  }
}

/** Sets an option of a socket that is a number. @throws SystemCallError (`ERR_SYSTEM_CALL`) */
export function setOption(fd: number, level: number, option: number, value: number): void {
  check(libc().setsockopt(fd, level, option, int32(value), 4), 'setsockopt')
}

const number = new Int32Array(1)
const bytesOfNumber = new Uint8Array(number.buffer)

/** A number as the kernel takes it, in bytes that the next one overwrites. */
export function int32(value: number): Uint8Array {
  number[0] = value
  return bytesOfNumber
}

/** The result of a system call, or its failure thrown. */
export function check(result: number, call: string, about?: string): number {
  if (result < 0) throw new SystemCallError(call, libc().errno(), about)
  return result
}
