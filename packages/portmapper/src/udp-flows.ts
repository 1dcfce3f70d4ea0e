import { DatagramSocket, isErrno, type AnsweringSocket, type DatagramOrigin } from '@net/netlink-ffi'
import { isNetError } from '@net/types'
import type { Target, UdpLimits } from './served-port.ts'

/** Answers taken from a backend before others have their turn. */
const BURST = 64

/** What goes between one client, the address it asked, and the container. */
interface Flow {
  readonly origin: DatagramOrigin
  /** Hears the container alone. */
  readonly backend: DatagramSocket
  lastMs: number
}

/** The clients of a UDP port: each has a socket of its own towards the container, and is forgotten when it is silent. */
export class UdpFlows {
  readonly #socket: Pick<AnsweringSocket, 'answer'>
  readonly #target: Target
  readonly #limits: UdpLimits
  /** Those that were silent for the longest come first. */
  readonly #flows = new Map<string, Flow>()
  #timer: NodeJS.Timeout | undefined

  /** Answers leave through `socket`, which is borrowed. */
  constructor(socket: Pick<AnsweringSocket, 'answer'>, target: Target, limits: UdpLimits) {
    this.#socket = socket
    this.#target = target
    this.#limits = limits
  }

  get size(): number {
    return this.#flows.size
  }

  /** Sends what a client sent on to the container. @throws SystemCallError (`ERR_SYSTEM_CALL`): EMFILE, ENETUNREACH */
  pass({ payload, origin }: { readonly payload: Uint8Array; readonly origin: DatagramOrigin }): void {
    const flow = this.#flows.get(origin.key) ?? this.#open(origin)
    this.#touch(flow)
    send(flow.backend, payload)
  }

  /** Forgets everybody. Safe to call twice. */
  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (const { backend } of this.#flows.values()) backend.close()
    this.#flows.clear()
  }

  #open(origin: DatagramOrigin): Flow {
    if (this.#flows.size >= this.#limits.clients) this.#forgetOldest()
    const { host: address, port } = this.#target
    const flow: Flow = { origin, backend: DatagramSocket.connect({ address, port }), lastMs: performance.now() }
    flow.backend.watch(() => {
      this.#answer(flow)
    })
    return flow
  }

  #answer(flow: Flow): void {
    this.#touch(flow)
    for (let taken = 0; taken < BURST; taken++) {
      const answer = receive(flow.backend)
      if (answer === undefined) return
      this.#socket.answer(answer, flow.origin)
    }
  }

  #touch(flow: Flow): void {
    flow.lastMs = performance.now()
    this.#flows.delete(flow.origin.key)
    this.#flows.set(flow.origin.key, flow)
    if (this.#timer === undefined) this.#await(this.#limits.idleMs)
  }

  #await(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#forgetSilent()
    }, delayMs).unref()
  }

  #forgetSilent(): void {
    this.#timer = undefined
    const now = performance.now()
    for (const { lastMs } of this.#flows.values()) {
      const leftMs = lastMs + this.#limits.idleMs - now
      if (leftMs > 0) {
        this.#await(leftMs)
        return
      }
      this.#forgetOldest()
    }
  }

  #forgetOldest(): void {
    for (const [key, { backend }] of this.#flows) {
      this.#flows.delete(key)
      backend.close()
      return
    }
  }
}

/** What an earlier datagram met (nobody listens, no way there) is said once: whoever comes to listen gets this one. */
function send(backend: DatagramSocket, payload: Uint8Array): void {
  try {
    backend.send(payload)
  } catch (error) {
    if (!isNetError(error, 'ERR_SYSTEM_CALL') || isErrno(error, 'EAGAIN')) throw error
    backend.send(payload)
  }
}

/** Undefined when there is none, or when one that was sent did not arrive. */
function receive(backend: DatagramSocket): Uint8Array | undefined {
  try {
    return backend.receive()
  } catch (error) {
    if (isNetError(error, 'ERR_SYSTEM_CALL')) return undefined
    throw error
  }
}
