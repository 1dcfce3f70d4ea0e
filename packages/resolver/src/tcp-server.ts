import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Logger } from '@net/types'
import type { Responder } from './responder.ts'
import { frame, FrameReader } from './tcp-frames.ts'

/** Connections of one sandbox at a time; more are closed at once. */
const MAX_CONNECTIONS = 64
/** Questions of one connection that wait for an answer; the next are read when one has it. */
const MAX_PENDING = 32
/** Bytes of answers that an asker may leave unread. */
const MAX_UNREAD_BYTES = 1024 * 1024

/** What can be chosen about a TCP server. */
export interface TcpServerOptions {
  /** A connection on which nothing happens for this long is closed. */
  readonly idleMs: number
}

/** Something that runs until it is closed. */
export interface Running {
  close(): Promise<void>
}

/** Serves questions on connections to a listening socket until closed. Takes over fd. */
export async function serveTcp(
  fd: number,
  responder: Responder,
  options: TcpServerOptions,
  logger: Logger,
): Promise<Running> {
  const connections = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
    // Whoever breaks a connection off has nothing to be told; 'close' follows.
    socket.on('error', () => undefined)
    socket.setTimeout(options.idleMs, () => socket.destroy())
    serveConnection(socket, responder)
  })
  server.maxConnections = MAX_CONNECTIONS
  server.on('error', (error) => {
    logger.error({ error }, 'accepting a connection failed')
  })
  server.listen({ fd })
  await once(server, 'listening')
  return {
    close: async () => {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      for (const socket of connections) socket.destroy()
      await closed
    },
  }
}

function serveConnection(socket: Socket, responder: Responder): void {
  const reader = new FrameReader()
  const waiting: Uint8Array[] = []
  let pending = 0
  let ended = false

  const goOn = (): void => {
    while (pending < MAX_PENDING) {
      const message = waiting.shift()
      if (message === undefined) break
      pending++
      void answer(message)
    }
    if (waiting.length > 0) socket.pause()
    else if (!ended) socket.resume()
    else if (pending === 0) socket.end()
  }
  const answer = async (message: Uint8Array): Promise<void> => {
    const bytes = await responder.respond(message, 'tcp')
    pending--
    if (socket.destroyed) return
    if (bytes !== undefined) socket.write(frame(bytes))
    if (socket.writableLength > MAX_UNREAD_BYTES) socket.destroy()
    else goOn()
  }

  socket.on('data', (piece) => {
    waiting.push(...reader.push(piece))
    goOn()
  })
  socket.on('end', () => {
    ended = true
    goOn()
  })
}
