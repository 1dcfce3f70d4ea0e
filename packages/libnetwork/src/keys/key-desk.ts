import { chmodSync, closeSync, constants, existsSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import type { CallOptions, Logger } from '@net/types'
import { z } from 'zod'
import { InvalidRequestError } from '../errors.ts'
import { keySocketOf, MAX_ANSWER_LENGTH, MAX_REQUEST_BYTES, SUCCESS, type KeyMessage } from './key-message.ts'

/** What is done with a namespace that a hook hands over. */
export type KeyHandler = (containerId: string, path: string, call: CallOptions) => Promise<void>

/** A hook says all that it has to say at once. */
const PATIENCE_MS = 5_000
const MAX_HOOKS = 64
/** struct sockaddr_un. */
const MAX_PATH_BYTES = 107

/** Only what a runtime has to hand over: a namespace of a process. Other paths could be anything that can be opened. */
const keyMessage: z.ZodType<KeyMessage> = z.strictObject({
  ContainerID: z.string().min(1).max(255),
  Key: z.string().regex(/^\/proc\/[1-9][0-9]{0,9}\/ns\/net$/, 'expected /proc/PID/ns/net'),
})

/** Where the hooks of runtimes hand namespaces over: a Unix socket that only root can speak to. */
export class KeyDesk {
  readonly #path: string
  readonly #logger: Logger
  readonly #hooks = new Set<Socket>()
  #opening: Promise<Server> | undefined

  /** For the controller whose namespaces are in `folder`. */
  constructor(folder: string, logger: Logger) {
    this.#path = keySocketOf(folder)
    this.#logger = logger
  }

  /** Listens, from when it is first called. @throws InvalidRequestError (`ERR_INVALID_REQUEST`) for too long a path */
  async open(handler: KeyHandler): Promise<void> {
    await (this.#opening ??= this.#listen(handler))
  }

  /** Listens no more, and removes the socket, one that an earlier process left too. Safe to call twice. */
  async close(): Promise<void> {
    const server = await this.#opening?.catch(() => undefined)
    this.#opening = undefined
    for (const hook of this.#hooks) hook.destroy()
    if (server !== undefined) await new Promise((resolve) => server.close(resolve))
    const folder = dirname(this.#path)
    if (existsSync(folder)) rmSync(folder, { recursive: true, force: true })
  }

  #listen(handler: KeyHandler): Promise<Server> {
    const bytes = Buffer.byteLength(this.#path)
    if (bytes > MAX_PATH_BYTES) {
      const problem = `expected a path that leaves room for the socket ${this.#path}: ${bytes} of ${MAX_PATH_BYTES} bytes`
      throw new InvalidRequestError('controller', 'runtimeDirectory', problem)
    }
    // Nobody comes in before the socket has its rights.
    rmSync(dirname(this.#path), { recursive: true, force: true })
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 })
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      void this.#serve(socket, handler)
    })
    server.maxConnections = MAX_HOOKS
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#path, () => {
        chmodSync(this.#path, 0o700)
        resolve(server)
      })
    })
  }

  async #serve(socket: Socket, handler: KeyHandler): Promise<void> {
    const gone = new AbortController()
    this.#hooks.add(socket)
    socket.on('error', (error) => {
      this.#logger.debug({ err: error }, 'a hook went away')
    })
    socket.once('close', () => {
      this.#hooks.delete(socket)
      gone.abort(new Error('the hook went away'))
    })
    socket.end(await this.#answer(socket, handler, gone.signal))
  }

  async #answer(socket: Socket, handler: KeyHandler, signal: AbortSignal): Promise<string> {
    try {
      const { ContainerID, Key } = await readMessage(socket)
      // Whoever hangs up does not wait for the answer: what is under way is given up.
      socket.once('end', () => socket.destroy()).resume()
      // At once: when its turn comes, the number may be another process'.
      const namespace = openSync(Key, constants.O_RDONLY | constants.O_NONBLOCK)
      try {
        await handler(ContainerID, `/proc/self/fd/${namespace}`, { signal })
      } finally {
        closeSync(namespace)
      }
      return SUCCESS
    } catch (error) {
      this.#logger.warn({ err: error }, 'a namespace that a hook handed over was not taken')
      return (error instanceof Error ? error.message : String(error)).slice(0, MAX_ANSWER_LENGTH)
    }
  }
}

/** Reads one message, which ends where its JSON does: hooks of libnetwork wait for the answer with the socket open. */
async function readMessage(socket: Socket): Promise<KeyMessage> {
  const timer = setTimeout(() => socket.destroy(), PATIENCE_MS)
  let bytes = Buffer.alloc(0)
  try {
    for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes = Buffer.concat([bytes, chunk])
      if (bytes.length > MAX_REQUEST_BYTES) throw refusal(`expected at most ${MAX_REQUEST_BYTES} bytes`)
      const message = parseJson(bytes)
      if (message !== undefined) return checkMessage(message)
    }
  } finally {
    clearTimeout(timer)
  }
  throw refusal('expected JSON')
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown
  } catch {
    return undefined
  }
}

function checkMessage(message: unknown): KeyMessage {
  const result = keyMessage.safeParse(message)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw refusal(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not understood'}`)
}

function refusal(problem: string): InvalidRequestError {
  return new InvalidRequestError('key', '', problem)
}
