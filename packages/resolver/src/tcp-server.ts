import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { Logger } from '@net/types'
import type { Responder } from './responder.ts'
import { frame, FrameReader } from './tcp-frames.ts'
import { TurnShare } from './turn-share.ts'

/** Connections of one sandbox at a time; more are closed at once. */
const MAX_CONNECTIONS = 64
/** Questions of one connection that wait for an answer; the next are read when one has it. */
const MAX_PENDING = 32
/** Bytes of answers that are written at once. Whoever leaves them unread is asked for no more questions. */
const MAX_WRITE_BYTES = 64 * 1024

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
  const share = new TurnShare()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
    // Whoever breaks a connection off has nothing to be told; 'close' follows.
    socket.on('error', () => undefined)
    socket.setTimeout(options.idleMs, () => socket.destroy())
    serveConnection(socket, responder, share)
  })
  server.maxConnections = MAX_CONNECTIONS
  server.on('error', (error) => {
    logger.error({ err: error }, 'accepting a connection failed')
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

function serveConnection(socket: Socket, responder: Responder, share: TurnShare): void {
  const reader = new FrameReader()
  let pending = 0
  let ended = false

  const goOn = (): void => {
    if (socket.destroyed) return
    const isEmpty = answerWhatIsThere()
    if (!isEmpty || socket.writableNeedDrain) socket.pause()
    else if (!ended) socket.resume()
    else if (pending === 0) socket.end()
  }
  /** Answers questions until others have their turn, or the asker is to read first. False where some may be left. */
  const answerWhatIsThere = (): boolean => {
    const answers = new Answers(socket)
    while (pending < MAX_PENDING && !socket.writableNeedDrain && share.hasTime(goOn)) {
      const message = reader.next()
      if (message === undefined) {
        answers.send()
        return true
      }
      const answer = responder.respond(message, 'tcp')
      if (answer instanceof Promise) void answerLater(answer)
      else if (answer !== undefined) answers.add(answer)
    }
    answers.send()
    return false
  }
  const answerLater = async (answer: Promise<Uint8Array | undefined>): Promise<void> => {
    pending++
    const bytes = await answer
    pending--
    if (socket.destroyed) return
    if (bytes !== undefined) socket.write(frame(bytes))
    goOn()
  }

  socket.on('drain', goOn)
  socket.on('data', (piece) => {
    reader.push(piece)
    goOn()
  })
  socket.on('end', () => {
    ended = true
    goOn()
  })
}

/** Answers that are written together: each of them alone would cost a system call. */
class Answers {
  readonly #socket: Socket
  #frames: Uint8Array[] = []
  #length = 0

  constructor(socket: Socket) {
    this.#socket = socket
  }

  add(answer: Uint8Array): void {
    this.#frames.push(frame(answer))
    this.#length += answer.length
    if (this.#length >= MAX_WRITE_BYTES) this.send()
  }

  send(): void {
    if (this.#length > 0) this.#socket.write(Buffer.concat(this.#frames))
    this.#frames = []
    this.#length = 0
  }
}
