import type { PublishedPort } from '@net/driverapi'
import type { BookedPorts } from '@net/portallocator'
import type { PortHeld } from './recovery-events.ts'

/** A port that leads to a container, though another program of the host has it. */
export interface LostPort {
  readonly port: PublishedPort
  /** Name. */
  readonly endpoint: string
  readonly lease: BookedPorts
}

/** How long it takes until ports are tried again: at first, and at last. */
const DELAY_MS = { first: 1_000, last: 60_000 } as const

/** Tries now and then to hold ports again that other programs took, and tells when that worked. */
export class LostPorts {
  readonly #tell: (event: PortHeld) => void
  readonly #lost = new Set<LostPort>()
  #delayMs: number = DELAY_MS.first
  #timer: NodeJS.Timeout | undefined
  #trying: Promise<void> | undefined
  #closed = false

  constructor(tell: (event: PortHeld) => void) {
    this.#tell = tell
  }

  /** Looks after one until it is held, or let go. */
  add(lost: LostPort): void {
    this.#lost.add(lost)
    this.#schedule()
  }

  /** Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#trying
  }

  #schedule(): void {
    if (this.#closed || this.#timer !== undefined || this.#lost.size === 0) return
    this.#timer = setTimeout(() => {
      this.#trying = this.#tryAll()
    }, this.#delayMs)
    this.#timer.unref()
    this.#delayMs = Math.min(this.#delayMs * 2, DELAY_MS.last)
  }

  async #tryAll(): Promise<void> {
    for (const lost of this.#lost) {
      if (this.#closed) return
      try {
        const isHeld = await lost.lease.hold()
        this.#lost.delete(lost)
        if (isHeld) this.#tell({ kind: 'port-held', port: lost.port, endpoint: lost.endpoint })
      } catch {
        // Somebody has it still: next time.
      }
    }
    this.#timer = undefined
    this.#schedule()
  }
}
