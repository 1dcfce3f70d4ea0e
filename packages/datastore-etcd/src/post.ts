import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import { EtcdReplyTooLongError } from './errors.ts'

/** When the kernel begins to ask whether a silent server is still there; ten seconds later it is given up. */
const KEEP_ALIVE_MS = 10_000

/** An HTTP request to one server. */
export interface PostRequest {
  readonly url: URL
  readonly body: string
  readonly token: string | undefined
  readonly agent: http.Agent
  readonly connectTimeoutMs: number
  /** Breaks it off, at any time until the answer is read. */
  readonly signal: AbortSignal
}

/** A request that got no answer. */
export class ConnectionError extends Error {
  /** Whether any of it may have reached the server. */
  readonly isSent: boolean

  constructor(isSent: boolean, cause: unknown) {
    super(describe(cause), { cause })
    this.isSent = isSent
  }
}

/** Resolves when the answer begins. Rejects with {@link ConnectionError}. */
export function post(request: PostRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { url, agent, signal } = request
    const { request: begin } = url.protocol === 'https:' ? https : http
    const outgoing = begin(url, { method: 'POST', agent, headers: headersOf(request) })
    const isSent = watchConnection(outgoing, request)
    const giveUp = (): void => {
      outgoing.destroy(new Error('given up', { cause: signal.reason }))
    }
    if (signal.aborted) giveUp()
    signal.addEventListener('abort', giveUp, { once: true })
    outgoing.once('close', () => {
      signal.removeEventListener('abort', giveUp)
    })
    outgoing.once('response', resolve)
    // Once there is an answer, whoever reads it sees the error.
    outgoing.on('error', (error) => {
      reject(new ConnectionError(isSent(), error))
    })
    outgoing.end(request.body)
  })
}

/** The whole body of an answer. Rejects with {@link ConnectionError}. @throws `ERR_ETCD_REPLY_TOO_LONG` */
export async function readBody(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      length += chunk.length
      // Leaving the loop ends the connection.
      if (length > maxBytes) break
    }
  } catch (error) {
    throw new ConnectionError(true, error)
  }
  if (length > maxBytes) throw new EtcdReplyTooLongError(maxBytes)
  return Buffer.concat(chunks, length).toString()
}

function headersOf({ body, token }: PostRequest): Record<string, string | number> {
  return {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    // A server that is cut off from the others is to say so, not to wait until they are back.
    'Grpc-Metadata-hasleader': 'true',
    ...(token === undefined ? {} : { Authorization: token }),
  }
}

/** Ends the request when no connection comes about in time. The result tells whether there has been one. */
function watchConnection(outgoing: ClientRequest, { url, connectTimeoutMs }: PostRequest): () => boolean {
  let isConnected = false
  outgoing.once('socket', (socket: Socket) => {
    // One from the pool.
    if (!socket.connecting) {
      isConnected = true
      return
    }
    const timer = setTimeout(() => {
      outgoing.destroy(new Error(`no connection within ${connectTimeoutMs} ms`))
    }, connectTimeoutMs)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer)
      isConnected = true
    })
    socket.once('close', () => {
      clearTimeout(timer)
    })
  })
  return () => isConnected
}

/** Several addresses that refused are one error without a message of its own. */
function describe(cause: unknown): string {
  const errors = cause instanceof AggregateError ? (cause.errors as unknown[]) : [cause]
  return errors.map((error) => (error instanceof Error ? error.message : String(error))).join(', ')
}
