import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { PluginAddress } from './plugin-address.ts'

/** Media type of the plugin protocol. */
export const PLUGIN_MEDIA_TYPE = 'application/vnd.docker.plugins.v1.2+json'

/** A request to a plugin. */
export interface PluginPost {
  readonly address: PluginAddress
  readonly path: string
  readonly body: string
  readonly maxReplyBytes: number
  readonly signal: AbortSignal
}

/** What a plugin answered. */
export interface PluginAnswer {
  readonly status: number
  /** `undefined` where it was longer than it may be. */
  readonly text: string | undefined
}

/** A request that got no answer. */
export class ConnectionError extends Error {
  /** Whether any of it may have reached the plugin. */
  readonly isSent: boolean

  constructor(isSent: boolean, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.isSent = isSent
  }
}

/** Sends a request on a connection of its own. Rejects with {@link ConnectionError}. */
export function postToPlugin({ address, path, body, maxReplyBytes, signal }: PluginPost): Promise<PluginAnswer> {
  return new Promise((resolve, reject) => {
    const isSecure = 'tls' in address && address.tls !== undefined
    const { tls, ...place } = 'host' in address ? address : { ...address, tls: undefined }
    const headers = { Accept: PLUGIN_MEDIA_TYPE, 'Content-Length': Buffer.byteLength(body) }
    const options = { ...place, ...tls, path, method: 'POST', headers, agent: false, signal }
    const outgoing = (isSecure ? https : http).request(options)
    let isConnected = false
    outgoing.once('socket', (socket) => {
      socket.once(isSecure ? 'secureConnect' : 'connect', () => {
        isConnected = true
      })
    })
    outgoing.on('error', (error) => {
      reject(new ConnectionError(isConnected, error))
    })
    outgoing.once('response', (response) => {
      readText(response, maxReplyBytes).then(
        (text) => {
          resolve({ status: response.statusCode ?? 0, text })
        },
        (error: unknown) => {
          reject(new ConnectionError(true, error))
        },
      )
    })
    outgoing.end(body)
  })
}

/** The body of a message; `undefined` where it is longer than it may be. */
export async function readText(message: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of message as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    // Leaving the loop ends the connection.
    if (length > maxBytes) return undefined
  }
  return Buffer.concat(chunks, length).toString()
}
