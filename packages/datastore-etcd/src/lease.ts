import { setTimeout as later } from 'node:timers/promises'
import { NoSuchLeaseError, type StoreLease } from '@net/datastore'
import type { Logger } from '@net/types'
import { EtcdRefusedError } from './errors.ts'
import type { Gateway } from './gateway.ts'
import { sortOf } from './refusal.ts'
import { decodeKeepAlive, decodeLease } from './replies.ts'

export interface LeaseDeps {
  readonly gateway: Gateway
  readonly logger: Logger
  /** Told when the lease is over. */
  readonly ended: (lease: EtcdLease) => void
}

/** Takes a lease and renews it from now on. */
export async function grantLease(ttlMs: number, deps: LeaseDeps, signal: AbortSignal | undefined): Promise<EtcdLease> {
  const askedAt = performance.now()
  // etcd counts in seconds, and none of them is to be missing.
  const body = { TTL: String(Math.ceil(ttlMs / 1000)) }
  const { id, seconds } = await deps.gateway.write({ path: 'lease/grant', body, decode: decodeLease, signal })
  return new EtcdLease(id, seconds * 1000, askedAt, deps)
}

/** A lease of etcd that renews itself, until it is released or lost. */
export class EtcdLease implements StoreLease {
  readonly id: string
  readonly ttlMs: number
  readonly #deps: LeaseDeps
  readonly #lost = new AbortController()
  readonly #stopped = new AbortController()
  #expiry: NodeJS.Timeout | undefined
  #released: Promise<void> | undefined

  /** @param askedAt - when etcd was asked, on the clock of `performance.now`: it counts from then at the earliest */
  constructor(id: string, ttlMs: number, askedAt: number, deps: LeaseDeps) {
    this.id = id
    this.ttlMs = ttlMs
    this.#deps = deps
    this.#expireAfter(askedAt)
    void this.#keepAlive()
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  release(): Promise<void> {
    return (this.#released ??= this.#revoke())
  }

  async #revoke(): Promise<void> {
    const isOver = this.#stopped.signal.aborted
    this.#stop()
    if (isOver) return
    try {
      await this.#deps.gateway.write({ path: 'lease/revoke', body: { ID: this.id }, decode: () => undefined })
    } catch (error) {
      if (!(error instanceof EtcdRefusedError) || sortOf(error) !== 'no-lease') throw error
      // It has expired meanwhile.
    }
  }

  /** Renews at a third of the time that is left, and more often after a failure. */
  async #keepAlive(): Promise<void> {
    const { signal } = this.#stopped
    let waitMs = this.ttlMs / 3
    while (await passed(waitMs, signal)) {
      const askedAt = performance.now()
      try {
        const seconds = await this.#renew(signal)
        if (seconds === 0) {
          this.#lose(new NoSuchLeaseError(this.id))
          return
        }
        this.#expireAfter(askedAt)
        waitMs = this.ttlMs / 3
      } catch (error) {
        if (signal.aborted) return
        this.#deps.logger.warn({ lease: this.id, err: error }, 'lease could not be renewed')
        waitMs = this.ttlMs / 10
      }
    }
  }

  #renew(signal: AbortSignal): Promise<number> {
    const body = { ID: this.id }
    // A server that hangs is left for another one in time.
    const timeoutMs = this.ttlMs / 3
    return this.#deps.gateway.read({ path: 'lease/keepalive', body, decode: decodeKeepAlive, signal, timeoutMs })
  }

  #expireAfter(askedAt: number): void {
    clearTimeout(this.#expiry)
    const leftMs = Math.max(0, askedAt + this.ttlMs - performance.now())
    this.#expiry = setTimeout(() => {
      this.#lose(new Error(`lease ${this.id} was not renewed in time`))
    }, leftMs).unref()
  }

  #lose(reason: Error): void {
    this.#stop()
    this.#deps.logger.warn({ lease: this.id, reason }, 'lease lost')
    this.#lost.abort(reason)
  }

  #stop(): void {
    clearTimeout(this.#expiry)
    this.#stopped.abort()
    this.#deps.ended(this)
  }
}

/** Whether the time has passed without the signal being aborted. */
async function passed(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    // A lease alone does not keep a program running.
    await later(milliseconds, undefined, { signal, ref: false })
    return true
  } catch {
    // Nothing but the signal ends it early.
    return false
  }
}
