import { closeSync, fstatSync, openSync, readFileSync, type BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { emptyResolvConf, parseResolvConf, type ResolvConf } from '@net/resolver'
import { silentLogger, type Logger } from '@net/types'

/** How often the file is looked at while somebody wants to know of changes. */
const POLL_MS = 1000

/** Stands for the state of a file that is not there. */
const ABSENT = 'absent'

/** systemd-resolved's own address, and the file in which it says whom it asks itself. */
const RESOLVED = '127.0.0.53'
const RESOLVED_PATH = '/run/systemd/resolve/resolv.conf'

/** What can be chosen about a {@link HostResolvConf}. */
export interface HostResolvConfOptions {
  readonly logger?: Logger | undefined
  readonly pollMs?: number | undefined
  /** Where systemd-resolved says whom it asks. */
  readonly resolvedPath?: string | undefined
}

/**
 * The host's resolv.conf, read again when it changes. It is polled: the path may lead through links to a file that
 * others replace, which watching a folder does not see.
 */
export class HostResolvConf {
  readonly #path: string
  readonly #resolvedPath: string
  readonly #pollMs: number
  readonly #logger: Logger
  readonly #listeners = new Set<() => void>()
  #conf: ResolvConf = emptyResolvConf
  /** What the file was when it was read. */
  #state: string = ABSENT
  #timer: NodeJS.Timeout | undefined

  constructor(path: string, options: HostResolvConfOptions = {}) {
    const { logger = silentLogger, pollMs = POLL_MS, resolvedPath = RESOLVED_PATH } = options
    this.#path = path
    this.#resolvedPath = resolvedPath
    this.#pollMs = pollMs
    this.#logger = logger
  }

  /** What the file says; a host without one says nothing. */
  get current(): ResolvConf {
    if (this.#timer === undefined) this.#read()
    return this.#conf
  }

  /** As {@link current}, for who cannot reach the host's loopback: the servers behind systemd-resolved in its place. */
  get reachable(): ResolvConf {
    const { current } = this
    if (current.nameServers.join() !== RESOLVED) return current
    try {
      return parseResolvConf(readFileSync(this.#resolvedPath, 'utf8'), this.#resolvedPath)
    } catch {
      // Without that file, nobody knows of others.
      return current
    }
  }

  /** Calls `listener` after each change, until the result is called. */
  follow(listener: () => void): () => void {
    this.#listeners.add(listener)
    if (this.#timer === undefined) {
      this.#read()
      this.#timer = setInterval(() => void this.#look(), this.#pollMs)
      this.#timer.unref()
    }
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  async #look(): Promise<void> {
    const state = await this.#stateNow()
    if (state === this.#state || this.#timer === undefined) return
    this.#read()
    for (const listener of [...this.#listeners]) listener()
  }

  async #stateNow(): Promise<string> {
    try {
      return stateOf(await stat(this.#path, { bigint: true }))
    } catch {
      return ABSENT
    }
  }

  #read(): void {
    // Should it not even be opened: said once, and then not until it is another.
    this.#state = ABSENT
    try {
      const fd = openSync(this.#path, 'r')
      try {
        // Before reading: what is written in between is seen the next time.
        this.#state = stateOf(fstatSync(fd, { bigint: true }))
        this.#conf = parseResolvConf(readFileSync(fd, 'utf8'), this.#path)
      } finally {
        closeSync(fd)
      }
    } catch (error) {
      if (isMissing(error)) this.#conf = emptyResolvConf
      else this.#logger.warn({ path: this.#path, err: error }, 'resolv.conf of the host cannot be read')
    }
  }
}

function stateOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}
