import { isNetError } from '@net/types'
import { isErrno } from './errors.ts'
import { watchReadable } from './libc.ts'
import type { ReceivedMessage } from './message.ts'
import { NetlinkSocket } from './netlink-socket.ts'

/** Datagrams read in one turn of the event loop. */
const DATAGRAMS_A_TURN = 64

/** What to listen to, and what to make of it. */
export interface EventSource<Event> {
  readonly protocol: number
  readonly groups: readonly number[]
  readonly bufferBytes: number
  /** Listens to every namespace that the calling thread's has a number for. @defaultValue to its own */
  readonly everywhere?: boolean | undefined
  /** What the kernel does not even hand over; see {@link NetlinkSocket.filter}. @defaultValue nothing */
  readonly filter?: Parameters<NetlinkSocket['filter']> | undefined
  /** The event that a message is, or completes. */
  take(message: ReceivedMessage): Event | undefined
  /** The event that says that messages were lost. */
  lost(): Event
}

/**
 * Follows multicast groups of the calling thread's namespace, in the kernel's order, without blocking the event loop,
 * until `close`. Keeps no process alive.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`)
 */
export function watchEvents<Event>(
  source: EventSource<Event>,
  onEvent: (event: Event) => void,
): { close(): void } & Disposable {
  const { protocol, groups, bufferBytes, everywhere, filter } = source
  const socket = NetlinkSocket.open(protocol, { groups, bufferBytes, everywhere })
  try {
    if (filter !== undefined) socket.filter(...filter)
    return followEvents(socket, source, onEvent)
  } catch (error) {
    socket.close()
    throw error
  }
}

/** Takes over `socket`. */
function followEvents<Event>(
  socket: NetlinkSocket,
  source: EventSource<Event>,
  onEvent: (event: Event) => void,
): { close(): void } & Disposable {
  const reader = new EventReader(socket, source)
  let closed = false
  const watch = watchReadable(socket.fd, () => {
    // Listeners run after the receive buffer was read: they may use sockets themselves, or close this one.
    for (const event of reader.read()) if (!closed) onEvent(event)
  })
  const close = (): void => {
    if (closed) return
    closed = true
    watch.close()
    socket.close()
  }
  return { close, [Symbol.dispose]: close }
}

class EventReader<Event> {
  readonly #socket: NetlinkSocket
  readonly #source: EventSource<Event>
  #isLosing = false

  constructor(socket: NetlinkSocket, source: EventSource<Event>) {
    this.#socket = socket
    this.#source = source
  }

  /** The events of what waits, up to what one turn of the event loop is good for. */
  read(): Event[] {
    const events: Event[] = []
    for (let datagrams = 0; datagrams < DATAGRAMS_A_TURN; datagrams++) {
      if (this.#readOne(events)) continue
      // Only now: a socket that was full takes nothing in until it has been read empty.
      if (this.#isLosing) events.push(this.#source.lost())
      this.#isLosing = false
      break
    }
    return events
  }

  /** Returns false when there was nothing to read. */
  #readOne(events: Event[]): boolean {
    try {
      return this.#socket.receive((message) => {
        const event = this.#source.take(message)
        if (event !== undefined) events.push(event)
      })
    } catch (error) {
      // What cannot be read is as good as lost.
      if (!isErrno(error, 'ENOBUFS') && !isNetError(error, 'ERR_MALFORMED_MESSAGE')) throw error
      this.#isLosing = true
      return true
    }
  }
}
