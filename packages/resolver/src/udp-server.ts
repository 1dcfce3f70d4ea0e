import { DatagramBatch, type DatagramSocket } from '@net/netlink-ffi'
import { isNetError, type Logger } from '@net/types'
import type { Responder } from './responder.ts'

/** After this long the event loop turns, and other sandboxes have their turn too. */
const SLICE_MS = 1

/** Serves questions that come to a socket until it is closed. Borrows the socket. */
export function serveUdp(socket: DatagramSocket, responder: Responder, logger: Logger): void {
  const batch = sharedBatch()
  socket.watch(() => {
    try {
      const end = performance.now() + SLICE_MS
      let count = 0
      do {
        count = socket.receiveBatch(batch)
        for (let at = 0; at < count; at++) serveOne(socket, batch, at, responder)
        socket.sendBatch(batch)
      } while (count === batch.count && performance.now() < end)
    } catch (error) {
      // Closed by whoever was told of an answer.
      if (!isNetError(error, 'ERR_CLOSED')) logger.error({ err: error }, 'reading questions failed')
    }
  })
}

function serveOne(socket: DatagramSocket, batch: DatagramBatch, at: number, responder: Responder): void {
  const start = batch.start(at)
  const length = batch.length(at)
  const ready = responder.findReady(batch.received, start, length)
  if (ready !== undefined && batch.reply(at, ready)) {
    batch.replies[start] = batch.received[start] ?? 0
    batch.replies[start + 1] = batch.received[start + 1] ?? 0
    return
  }
  const answer = responder.respond(batch.received.slice(start, start + length), 'udp')
  if (answer === undefined) return
  if (answer instanceof Uint8Array) {
    if (!batch.reply(at, answer)) socket.sendTo(answer, batch.sender(at))
  } else {
    void sendLater(socket, batch.sender(at), answer)
  }
}

async function sendLater(
  socket: DatagramSocket,
  sender: Uint8Array,
  answer: Promise<Uint8Array | undefined>,
): Promise<void> {
  const bytes = await answer
  if (bytes === undefined) return
  try {
    socket.sendTo(bytes, sender)
  } catch (error) {
    // Closed meanwhile: nobody waits for the answer any more.
    if (!isNetError(error, 'ERR_CLOSED')) throw error
  }
}

let batch: DatagramBatch | undefined

/** One batch serves all sockets: what was received is answered, or copied, before anything else runs. */
function sharedBatch(): DatagramBatch {
  return (batch ??= new DatagramBatch())
}
