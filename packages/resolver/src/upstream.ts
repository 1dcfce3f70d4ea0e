import { Socket } from 'node:net'
import { connectStream, DatagramSocket } from '@net/netlink-ffi'
import { randomBytes } from '@net/types'
import { headerFlags } from './dns-codes.ts'
import { foldName } from './domain-name.ts'
import { readMessage, viewOf, type DnsMessage, type Question } from './message.ts'
import type { Place, Places } from './places.ts'
import { frame, FrameReader } from './tcp-frames.ts'

/** A DNS server that is asked what is not known here. */
export interface UpstreamServer {
  readonly address: string
  /** @defaultValue 53 */
  readonly port?: number | undefined
  /**
   * The sandbox's own network, or the host's: for servers on its loopback interface.
   *
   * @defaultValue 'sandbox'
   */
  readonly from?: Place | undefined
}

/** One question to one server. */
export interface Exchange {
  readonly server: UpstreamServer
  /** As the asker wrote it; its id is replaced. */
  readonly message: Uint8Array
  readonly question: Question
  /** Ends the wait. */
  readonly signal: AbortSignal
}

const DNS_PORT = 53
/** A datagram that was lost is sent again after this long. Askers' own repetitions wait for the same answer. */
const RESEND_MS = 1000
/** Datagrams from one server that are looked at before others have their turn. */
const MAX_REPLIES_A_TURN = 16

/** What a server answers by UDP. Whatever is no answer to this very question is passed over: it may be forged. */
export async function askUdp(places: Places, exchange: Exchange): Promise<DnsMessage> {
  const { server, question, signal } = exchange
  signal.throwIfAborted()
  const { id, bytes } = withFreshId(exchange.message)
  // A socket of its own for each question: its port is one more thing that who forges answers has to guess.
  using socket = places.at(server.from ?? 'sandbox', () => DatagramSocket.connect(addressOf(server)))
  socket.send(bytes)
  return await waitFor(signal, ({ resolve, attempt }) => {
    socket.watch(() => {
      attempt(() => {
        // Who sends without end is heard again in the next turn of the event loop, after all others.
        for (let count = 0; count < MAX_REPLIES_A_TURN; count++) {
          const reply = socket.receive()
          if (reply === undefined) return
          const message = readReply(reply, id, question)
          if (message !== undefined) {
            resolve(message)
            return
          }
        }
      })
    })
    const timer = setInterval(() => {
      attempt(() => {
        socket.send(bytes)
      })
    }, RESEND_MS)
    return () => {
      clearInterval(timer)
    }
  })
}

/** As {@link askUdp}, by TCP, on a connection of its own. */
export async function askTcp(places: Places, exchange: Exchange): Promise<DnsMessage> {
  const { server, question, signal } = exchange
  signal.throwIfAborted()
  const { id, bytes } = withFreshId(exchange.message)
  const socket = new Socket({ fd: places.at(server.from ?? 'sandbox', () => connectStream(addressOf(server))) })
  const reader = new FrameReader()
  return await waitFor(signal, ({ resolve, reject, attempt }) => {
    socket.once('error', reject)
    socket.once('close', () => {
      reject(new Error('connection closed without an answer'))
    })
    socket.on('data', (piece) => {
      attempt(() => {
        reader.push(piece)
        for (let reply = reader.next(); reply !== undefined; reply = reader.next()) {
          const message = readReply(reply, id, question)
          if (message !== undefined) resolve(message)
        }
      })
    })
    socket.write(frame(bytes))
    return () => socket.destroy()
  })
}

function addressOf({ address, port = DNS_PORT }: UpstreamServer): { address: string; port: number } {
  return { address, port }
}

function withFreshId(message: Uint8Array): { readonly id: number; readonly bytes: Uint8Array } {
  const bytes = message.slice()
  bytes.set(randomBytes(2))
  return { id: viewOf(bytes).getUint16(0), bytes }
}

/**
 * A reply, when it is one to this question; undefined when it is not.
 *
 * @throws MalformedDnsMessageError (`ERR_MALFORMED_DNS_MESSAGE`) when it bears the right id and is no message
 */
function readReply(bytes: Uint8Array, id: number, asked: Question): DnsMessage | undefined {
  if (bytes.length < 4) return undefined
  const view = viewOf(bytes)
  if (view.getUint16(0) !== id || (view.getUint16(2) & headerFlags.response) === 0) return undefined
  const message = readMessage(bytes)
  const { name, type, class: cls } = message.question
  return type === asked.type && cls === asked.class && foldName(name) === foldName(asked.name) ? message : undefined
}

interface Outcome<T> {
  readonly resolve: (value: T) => void
  readonly reject: (reason: Error) => void
  /** Runs what may throw: that is the outcome then. */
  readonly attempt: (work: () => void) => void
}

/** Waits for an outcome or the signal, then has what `begin` returned clean up. */
function waitFor<T>(signal: AbortSignal, begin: (outcome: Outcome<T>) => () => void): Promise<T> {
  let cleanUp: () => void = () => undefined
  let giveUp: () => void = () => undefined
  const outcome = new Promise<T>((resolve, reject) => {
    giveUp = () => {
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', giveUp, { once: true })
    const attempt = (work: () => void): void => {
      try {
        work()
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)))
      }
    }
    cleanUp = begin({ resolve, reject, attempt })
  })
  return outcome.finally(() => {
    signal.removeEventListener('abort', giveUp)
    cleanUp()
  })
}
