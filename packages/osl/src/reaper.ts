import { silentLogger, type Logger } from '@net/types'
import type { RouteSocket } from '@net/netlink-ffi'

/** How long the kernel may take to reap the links of a dropped namespace before we delete them ourselves. */
const PATIENCE_MS = 250
const FIRST_LOOK_MS = 5
/** Links looked at or deleted in one exchange: their descriptions have to fit into the socket's buffer. */
const BATCH = 32

/**
 * Sees to it that links go which the kernel reaps by itself, but later: those of dropped namespaces.
 * They carry no traffic any more. Where something keeps the namespace alive (a process in it), they
 * are deleted. All of it off the event loop.
 */
export class Reaper {
  readonly #socket: RouteSocket
  readonly #logger: Logger
  #links = new Map<number, number>()
  #running: Promise<void> | undefined

  /** Takes over `socket`, which must serve nothing else. */
  constructor(socket: RouteSocket, logger: Logger = silentLogger) {
    this.#socket = socket
    this.#logger = logger
  }

  /** Hands over links, by index. */
  take(indexes: readonly number[]): void {
    const deadline = performance.now() + PATIENCE_MS
    for (const index of indexes) this.#links.set(index, deadline)
    if (this.#links.size > 0) this.#running ??= this.#run()
  }

  /** Deletes links now, and resolves when they are gone. Links that are gone already are no error. */
  async delete(indexes: readonly number[]): Promise<void> {
    await this.#socket.deleteLinks(indexes)
  }

  /** Resolves when everything handed over is gone. */
  async settle(): Promise<void> {
    await this.#running
  }

  /** Waits for what was handed over, then closes the socket. */
  async close(): Promise<void> {
    await this.settle()
    this.#socket.close()
  }

  async #run(): Promise<void> {
    let waitMs = FIRST_LOOK_MS
    try {
      while (this.#links.size > 0) {
        await sleep(waitMs)
        waitMs = Math.min(waitMs * 2, PATIENCE_MS)
        await this.#look()
      }
    } catch (error) {
      this.#logger.error({ error, links: [...this.#links.keys()] }, 'could not delete links')
      this.#links.clear()
    } finally {
      this.#running = undefined
    }
  }

  async #look(): Promise<void> {
    const batch = [...this.#links.keys()].slice(0, BATCH)
    const alive = await this.#socket.filterAlive(batch)
    const overdue = alive.filter((index) => performance.now() > (this.#links.get(index) ?? 0))
    if (overdue.length > 0) await this.#socket.deleteLinks(overdue)
    const kept = new Set(alive.filter((index) => !overdue.includes(index)))
    for (const index of batch) if (!kept.has(index)) this.#links.delete(index)
  }
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}
