import { SctpSocket, type Interest } from '@net/netlink-ffi'
import type { Target } from './served-port.ts'
import { SctpWay } from './sctp-way.ts'

/** The kernel may say that there is room, and then find that there is not: so long until it is asked again. */
const RETRY_MS = 10

/**
 * A client's association and the one towards the container. SCTP knows no half of an end: when one side has said its
 * last, that goes on to the other, and then both end. What breaks off on one side breaks off on the other.
 */
export class SctpRelay {
  readonly #client: SctpSocket
  readonly #backend: SctpSocket
  readonly #there: SctpWay
  readonly #back: SctpWay
  readonly #onEnd: (error?: unknown) => void
  #phase: 'connecting' | 'carrying' | 'ending' | 'over' = 'connecting'
  #retry: NodeJS.Timeout | undefined

  /** Use {@link relaySctp}. */
  constructor(client: SctpSocket, backend: SctpSocket, onEnd: (error?: unknown) => void) {
    this.#client = client
    this.#backend = backend
    this.#there = new SctpWay(client, backend)
    this.#back = new SctpWay(backend, client)
    this.#onEnd = onEnd
  }

  /** Begins to wait for both. @internal {@link relaySctp} does. */
  start(): void {
    for (const socket of [this.#client, this.#backend]) {
      socket.watch((what) => {
        this.#ready(what)
      })
    }
    this.#backend.wait({ readable: false, writable: true })
  }

  /** Ends both at once. Safe to call twice. */
  breakOff(error?: unknown): void {
    this.#end('abort', error)
  }

  #ready({ writable }: Interest): void {
    try {
      this.#step(writable)
    } catch (error) {
      this.breakOff(error)
    }
  }

  #step(hasRoom: boolean): void {
    const error = this.#client.takeError() ?? this.#backend.takeError()
    if (error !== undefined) throw error
    if (this.#phase === 'connecting') this.#phase = 'carrying'
    const isStuck = this.#phase === 'carrying' ? this.#carry() : this.#drain()
    if (this.#phase === 'ending' && this.#there.isEnded && this.#back.isEnded) this.#end('close')
    else if (hasRoom && isStuck) this.#holdOff()
    else this.#wait()
  }

  /** Whether a message waits for room that waited before. */
  #carry(): boolean {
    const waiting = [this.#there, this.#back].filter((way) => way.isWaiting)
    this.#there.carry()
    this.#back.carry()
    if (this.#there.isEnded) this.#finish(this.#backend)
    else if (this.#back.isEnded) this.#finish(this.#client)
    return waiting.some((way) => way.isWaiting)
  }

  /** All that one side said has gone on: the other hears that there is no more. */
  #finish(other: SctpSocket): void {
    this.#phase = 'ending'
    if (!(this.#there.isEnded && this.#back.isEnded)) other.shutdown()
    this.#drain()
  }

  #drain(): false {
    if (!this.#there.isEnded) this.#there.drain()
    if (!this.#back.isEnded) this.#back.drain()
    return false
  }

  #holdOff(): void {
    this.#client.wait({ readable: this.#there.isReading, writable: false })
    this.#backend.wait({ readable: this.#back.isReading, writable: false })
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined
      this.#wait()
    }, RETRY_MS)
  }

  #wait(): void {
    this.#client.wait({ readable: this.#there.isReading, writable: this.#back.isWaiting })
    this.#backend.wait({ readable: this.#back.isReading, writable: this.#there.isWaiting })
  }

  #end(how: 'close' | 'abort', error?: unknown): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    clearTimeout(this.#retry)
    this.#client[how]()
    this.#backend[how]()
    this.#onEnd(error)
  }
}

/**
 * Leads a client's association to `target`, until one of the two ends. Takes over the client.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): ENETUNREACH, EMFILE
 */
export function relaySctp(client: SctpSocket, { host, port }: Target, onEnd: (error?: unknown) => void): SctpRelay {
  try {
    const backend = SctpSocket.connect({ address: host, port }, client.incomingStreams)
    const relay = new SctpRelay(client, backend, onEnd)
    relay.start()
    return relay
  } catch (error) {
    client.abort()
    throw error
  }
}
