import { isErrno, type SctpLabel, type SctpSocket } from '@net/netlink-ffi'

/** A longer message breaks the relay off: it has to be whole before it can go on. */
const MAX_MESSAGE_BYTES = 1024 * 1024
/** Messages carried before others have their turn. */
const BURST = 64
/** What the other side answers that has said its last: the end is about to be read from it. */
const hearsNoMore = ['EPIPE', 'ESHUTDOWN', 'ENOTCONN']

interface SctpMessage {
  readonly payload: Uint8Array
  readonly label: SctpLabel
}

/** One way through a relay: messages go on whole and in their order, with their streams and payload protocols. */
export class SctpWay {
  readonly #from: SctpSocket
  readonly #to: SctpSocket
  #parts: Uint8Array[] = []
  #bytes = 0
  /** Waits for room. */
  #message: SctpMessage | undefined
  #isEnded = false

  constructor(from: SctpSocket, to: SctpSocket) {
    this.#from = from
    this.#to = to
  }

  /** Whether something could come. */
  get isReading(): boolean {
    return !this.#isEnded && this.#message === undefined
  }

  /** Whether something could not go on. */
  get isWaiting(): boolean {
    return this.#message !== undefined
  }

  /** Whether all has gone on, and nothing more will come. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Carries what is there, as far as there is room. @throws SystemCallError (`ERR_SYSTEM_CALL`), RangeError */
  carry(): void {
    for (let carried = 0; carried < BURST && !this.#isEnded; carried++) {
      this.#message ??= this.#read()
      if (this.#message === undefined || !this.#pass(this.#message)) return
      this.#message = undefined
    }
  }

  /** Reads what still comes, for nobody: who would hear it has ended. Throws as {@link SctpWay.carry} does. */
  drain(): void {
    this.#message = undefined
    for (let taken = 0; taken < BURST && !this.#isEnded; taken++) {
      const part = this.#from.receive()
      if (part === 'nothing') return
      this.#isEnded = part === 'end'
    }
  }

  /** A whole message, when there is one. */
  #read(): SctpMessage | undefined {
    for (;;) {
      const part = this.#from.receive()
      this.#isEnded = part === 'end'
      if (part === 'end' || part === 'nothing') return undefined
      this.#keep(part.payload)
      if (part.isLast) return { payload: this.#whole(), label: part.label }
    }
  }

  #keep(payload: Uint8Array): void {
    this.#parts.push(payload)
    this.#bytes += payload.length
    if (this.#bytes > MAX_MESSAGE_BYTES) throw new RangeError(`sctp message of more than ${MAX_MESSAGE_BYTES} bytes`)
  }

  #whole(): Uint8Array {
    const [only] = this.#parts
    const payload = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts)
    this.#parts = []
    this.#bytes = 0
    return payload
  }

  #pass({ payload, label }: SctpMessage): boolean {
    try {
      return this.#to.send(payload, label)
    } catch (error) {
      if (isErrno(error, ...hearsNoMore)) return true
      throw error
    }
  }
}
