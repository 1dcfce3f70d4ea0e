import { close } from 'node:fs'
import { promisify } from 'node:util'
import type { Sysctl } from '@net/driverapi'
import { mountProc } from '@net/netlink-ffi'
import { ClosedError, type Logger } from '@net/types'
import { SysctlError } from './errors.ts'
import { writeSysctls } from './sysctl.ts'

/** Times that one procfs is used for: few enough not to be felt, enough for mounting it not to be. */
const MOST_USES = 32

/** Where settings are set for a while. */
interface Place {
  readonly proc: string
  /** Absent for `/proc` itself. */
  readonly fd?: number
  uses: number
}

/** What whoever works in sandboxes is supplied with. */
export interface SandboxDeps {
  /** Borrowed. */
  readonly settings: SandboxSettings
  readonly logger: Logger
}

const closeOffLoop = promisify(close)

/**
 * Kernel settings of sandboxes, and of the ports they are behind, set through a procfs of our own that is often a new
 * one. In `/proc` the kernel remembers what was looked for in each namespace, and whoever looks for a setting next, on the
 * host too, passes all of that: half a millisecond for an attach, and several where there are a thousand containers. Where
 * there can be none of our own, or it may not be used, `/proc` serves for as many times.
 */
export class SandboxSettings {
  #place: Place | undefined
  #unmounting: Promise<unknown> = Promise.resolve()
  #isClosed = false

  /** Sets those of the calling thread's network namespace; see {@link writeSysctls}. @throws ClosedError (`ERR_CLOSED`) */
  write(sysctls: readonly Sysctl[]): void {
    if (this.#isClosed) throw new ClosedError('settings of sandboxes')
    if (sysctls.length === 0) return
    const place = this.#placeToUse()
    try {
      writeSysctls(sysctls, place.proc)
    } catch (error) {
      // A profile of AppArmor knows no way to what is mounted nowhere. What is set twice does no harm.
      if (place.fd === undefined || !isForbidden(error)) throw error
      this.#move({ proc: '/proc', uses: 0 })
      writeSysctls(sysctls)
    }
  }

  /** Safe to call twice. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#move(undefined)
    await this.#unmounting
  }

  #placeToUse(): Place {
    const place = this.#place !== undefined && this.#place.uses < MOST_USES ? this.#place : this.#move(newPlace())
    place.uses++
    return place
  }

  #move<To extends Place | undefined>(to: To): To {
    if (this.#place?.fd !== undefined) this.#unmounting = unmount(this.#place.fd, this.#unmounting)
    this.#place = to
    return to
  }
}

/** It takes the kernel up to some milliseconds: a pool thread's, which is begun once this thread is home. */
async function unmount(fd: number, earlier: Promise<unknown>): Promise<void> {
  await earlier
  await closeOffLoop(fd)
}

function newPlace(): Place {
  try {
    const fd = mountProc()
    return { proc: `/proc/self/fd/${fd}`, fd, uses: 0 }
  } catch {
    return { proc: '/proc', uses: 0 }
  }
}

function isForbidden(error: unknown): boolean {
  const { code } = (error instanceof SysctlError ? error.cause : error) as NodeJS.ErrnoException
  return code === 'EACCES' || code === 'EPERM'
}
