import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { isNetError, Mutex } from '@net/types'
import { ProxyStartError } from '../errors.ts'
import type { UserlandProxy } from '../proxy.ts'
import { ControlConnection } from './control-connection.ts'
import { openControlFolder, type ControlFolder } from './control-folder.ts'
import { linesOf } from './lines.ts'
import {
  formatMessage,
  FORWARDS_PER_MESSAGE,
  parseRequest,
  type ControlReply,
  type ControlRequest,
} from './messages.ts'

/** Controllers at a time: one, and one that takes over from it. */
const MAX_CLIENTS = 4

/** How long a proxy process lasts. */
export interface ControlOptions {
  /** It ends with the connection of who controls it. @defaultValue false: it goes on, and is found again */
  readonly endsWithClient?: boolean | undefined
  /** It ends when nobody has come after so long. @defaultValue 10000 */
  readonly patienceMs?: number | undefined
}

/** Lets a proxy be controlled through a socket in a folder, until nobody needs it any more. */
export class ControlServer {
  /** Resolves when the last forward was removed, or nobody came to add one. */
  readonly ended: Promise<void>
  readonly #proxy: UserlandProxy
  readonly #server: Server
  readonly #folder: ControlFolder
  readonly #endsWithClient: boolean
  readonly #changes = new Mutex()
  readonly #clients = new Set<Socket>()
  #end: () => void = () => undefined

  private constructor(proxy: UserlandProxy, folder: ControlFolder, options: ControlOptions) {
    this.#proxy = proxy
    this.#folder = folder
    this.#endsWithClient = options.endsWithClient ?? false
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    this.#server = createServer((socket) => void this.#serve(socket))
    this.#server.maxConnections = MAX_CLIENTS
    setTimeout(() => {
      this.#endIfIdle()
    }, options.patienceMs ?? 10_000).unref()
  }

  /**
   * Listens in `folder`. Borrows the proxy.
   *
   * @throws ProxyStartError (`ERR_PROXY_START`) where another process serves
   */
  static async listen(folder: string, proxy: UserlandProxy, options: ControlOptions = {}): Promise<ControlServer> {
    const other = await ControlConnection.connect(folder)
    await other?.close()
    if (other !== undefined) throw new ProxyStartError(`another one serves in ${folder}`)
    const opened = openControlFolder(folder)
    if (opened === undefined) throw new ProxyStartError(`no folder ${folder}`)
    const server = new ControlServer(proxy, opened, options)
    // One that was killed leaves its socket.
    rmSync(opened.socket, { force: true })
    server.#server.listen({ path: opened.socket })
    await once(server.#server, 'listening')
    return server
  }

  /** Hangs up. Safe to call twice. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const client of this.#clients) client.destroy()
    await closed
    this.#folder.close()
  }

  async #serve(socket: Socket): Promise<void> {
    this.#clients.add(socket)
    socket.on('error', () => undefined) // 'close' follows
    socket.once('close', () => {
      this.#clients.delete(socket)
      if (this.#endsWithClient && this.#clients.size === 0) this.#end()
      else this.#endIfIdle()
    })
    try {
      for await (const line of linesOf(socket)) await this.#answer(socket, parseRequest(line))
    } catch {
      // Whoever does not speak the protocol is hung up on.
    } finally {
      socket.destroy()
    }
  }

  async #answer(socket: Socket, request: ControlRequest): Promise<void> {
    using _lock = await this.#changes.lock()
    if (socket.destroyed) return
    // One has a say at a time: what an earlier one asked for and gave up waiting for is not to happen after this.
    for (const other of this.#clients) if (other !== socket) other.destroy()
    const reply = await this.#carryOut(request)
    // It was killed meanwhile: whoever comes next asks what there is.
    if (isGone(socket)) {
      this.#endIfIdle()
      return
    }
    const isRead = socket.write(formatMessage(reply))
    // Hung up on as soon as the answer is sent: a further request would be lost.
    if (request.do === 'change' && this.#proxy.forwards.length === 0) socket.end(this.#end)
    else if (!isRead) await untilRead(socket)
  }

  async #carryOut(request: ControlRequest): Promise<ControlReply> {
    const { id } = request
    const base = { id, pid: process.pid, forwards: [] }
    try {
      if (request.do === 'list') {
        return { ...base, forwards: this.#proxy.forwards.slice(request.from, request.from + FORWARDS_PER_MESSAGE) }
      }
      await this.#change(request)
      return base
    } catch (error) {
      if (!isNetError(error)) throw error
      const { code, kind, message } = error
      return { ...base, error: { code, kind, message } }
    }
  }

  async #change({ remove, add }: ControlRequest & { readonly do: 'change' }): Promise<void> {
    const removed = remove.flatMap((forward) => this.#proxy.find(forward) ?? [])
    for (const forward of removed) await forward.close()
    try {
      await this.#proxy.openForwards(add)
    } catch (error) {
      await this.#proxy.openForwards(removed.map(({ forward }) => forward))
      throw error
    }
  }

  #endIfIdle(): void {
    if (this.#clients.size === 0 && this.#proxy.forwards.length === 0) this.#end()
  }
}

function isGone({ destroyed }: Socket): boolean {
  return destroyed
}

/** Resolves when what was written is on its way, or nobody is there to read it: a killed client drains nothing. */
function untilRead(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.on('drain', done).on('close', done)
  })
}
