import { setTimeout as sleep } from 'node:timers/promises'
import { holdName, isNameHeld } from '@net/netlink-ffi'
import type { CallOptions } from '@net/types'
import { BusyError } from './errors.ts'

const PATIENCE_MS = 10_000
const PAUSE_MS = 2

/**
 * A lock for one holder at a time on this host, whichever process or controller it is in. It ends with its holder.
 * The kernel tells nobody when it is let go, so whoever waits asks again: it is for what takes milliseconds.
 *
 * @throws `ERR_BUSY` when it cannot be had in ten seconds
 */
export async function lockHost(what: string, call?: CallOptions): Promise<Disposable> {
  const end = performance.now() + PATIENCE_MS
  for (;;) {
    call?.signal?.throwIfAborted()
    try {
      return holdName(`net/lock/${what}`)
    } catch (error) {
      if (!isNameHeld(error)) throw error
      if (performance.now() > end) throw new BusyError(what, `held by process ${error.pid ?? 'unknown'}`)
    }
    await sleep(PAUSE_MS * (1 + Math.random()), undefined, call?.signal === undefined ? {} : { signal: call.signal })
  }
}
