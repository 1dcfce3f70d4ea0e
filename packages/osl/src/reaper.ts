import { silentLogger, type Logger } from '@net/types'
import type { RouteSocket } from '@net/netlink-ffi'

/** How long the kernel may take to reap the links of a dropped namespace before we delete them ourselves. */
const PATIENCE_MS = 250
const FIRST_LOOK_MS = 5
/** So often in a row may the kernel refuse to say or do anything: a second and a half. */
const ATTEMPTS = 10
/** Links looked at or deleted in one exchange: their descriptions have to fit into the socket's buffer. */
const BATCH = 32

/** The slice of a route socket that the reaper uses. */
export type ReaperSocket = Pick<RouteSocket, 'deleteLinks' | 'filterAlive' | 'close'>

/**
 * Sees to it that links go which the kernel reaps by itself, but later: those of dropped namespaces.
 * They carry no traffic any more. Where something keeps the namespace alive (a process in it), they
 * are deleted. All of it off the event loop.
 */
export class Reaper {
  readonly #socket: ReaperSocket
  readonly #logger: Logger
  #links = new Map<number, number>()
  #running: Promise<void> | undefined
  /** Why links are left that should be gone. */
  #failure: unknown

  /** Takes over `socket`, which must serve nothing else. */
  constructor(socket: ReaperSocket, logger: Logger = silentLogger) {
    this.#socket = socket
    this.#logger = logger
  }

  /** Hands over links, by index. */
  take(indexes: readonly number[]): void {
    const deadline = performance.now() + PATIENCE_MS
    for (const index of indexes) this.#links.set(index, deadline)
    this.#start()
  }

  /** Those handed over that may be there still, by index. */
  pending(): ReadonlySet<number> {
    return new Set(this.#links.keys())
  }

  /** Deletes links now, and resolves when they are gone. Links that are gone already are no error. */
  async delete(indexes: readonly number[]): Promise<void> {
    await this.#socket.deleteLinks(indexes)
  }

  /**
   * Resolves when everything handed over is gone: links that could not be deleted are tried again.
   *
   * @throws NetlinkError (`ERR_NETLINK`): the last refusal, when some are left still
   */
  async settle(): Promise<void> {
    this.#start()
    await this.#running
    if (this.#links.size > 0) throw this.#failure
  }

  /** Waits for what was handed over, then closes the socket. What is left then was logged. */
  async close(): Promise<void> {
    await this.#running
    this.#socket.close()
  }

  #start(): void {
    if (this.#links.size > 0) this.#running ??= this.#run()
  }

  /** Looks until the links are gone, or until it failed too often in a row: then they wait for the next occasion. */
  async #run(): Promise<void> {
    let waitMs = FIRST_LOOK_MS
    for (let failures = 0; this.#links.size > 0 && failures < ATTEMPTS;) {
      await sleep(waitMs)
      waitMs = Math.min(waitMs * 2, PATIENCE_MS)
      failures = (await this.#tryLook()) ? 0 : failures + 1
    }
    if (this.#links.size > 0) {
      this.#logger.error({ err: this.#failure, links: [...this.#links.keys()] }, 'could not delete links')
    }
    this.#running = undefined
  }

  async #tryLook(): Promise<boolean> {
    try {
      await this.#look()
      return true
    } catch (error) {
      this.#failure = error
      this.#logger.debug({ err: error }, 'could not delete links; trying again')
      return false
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
