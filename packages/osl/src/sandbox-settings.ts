import { close, closeSync } from 'node:fs'
import type { Sysctl } from '@net/driverapi'
import { mountProc } from '@net/netlink-ffi'
import { writeSysctls } from './sysctl.ts'

/** Times that one procfs is used for: few enough not to be felt, enough for mounting it not to be. */
const MOST_USES = 32

/** A procfs of our own. */
interface OwnProc {
  readonly fd: number
  uses: number
}

/**
 * Kernel settings of sandboxes, set through a procfs of our own that is often a new one. In `/proc` the kernel remembers
 * what was looked for in each namespace, and whoever looks for a setting next, on the host too, passes all of that: half
 * a millisecond for an attach, and several where there are a thousand containers.
 */
export class SandboxSettings {
  #own: OwnProc | undefined

  /** Sets those of the calling thread's network namespace; see {@link writeSysctls}. */
  write(sysctls: readonly Sysctl[]): void {
    if (sysctls.length > 0) writeSysctls(sysctls, this.#proc())
  }

  /** Safe to call twice. */
  close(): void {
    if (this.#own !== undefined) closeSync(this.#own.fd)
    this.#own = undefined
  }

  #proc(): string {
    const own = this.#own !== undefined && this.#own.uses < MOST_USES ? this.#own : this.#renew()
    if (own === undefined) return '/proc'
    own.uses++
    return `/proc/self/fd/${own.fd}`
  }

  #renew(): OwnProc | undefined {
    if (this.#own !== undefined) closeLater(this.#own.fd)
    this.#own = mounted()
    return this.#own
  }
}

/** Where it cannot be mounted, `/proc` serves as well. */
function mounted(): OwnProc | undefined {
  try {
    return { fd: mountProc(), uses: 0 }
  } catch {
    return undefined
  }
}

/** Unmounting takes the kernel up to some milliseconds. Begun once the thread is home: a pool thread may be born of it. */
function closeLater(fd: number): void {
  setImmediate(() => {
    close(fd)
  })
}
