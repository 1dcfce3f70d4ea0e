import type { CallOptions } from '@net/types'

/** Does work that needs no waiting, behind a face that allows for it. */
export function settle<T>(call: CallOptions | undefined, work: () => T): Promise<T> {
  return new Promise((resolve) => {
    call?.signal?.throwIfAborted()
    resolve(work())
  })
}
