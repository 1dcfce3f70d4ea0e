import type { CallOptions } from '@net/types'

/** The reason of a signal that was aborted since time was up. */
export class TimeIsUp extends Error {
  constructor(milliseconds: number) {
    super(`no answer within ${milliseconds} ms`)
  }
}

/** Runs `work` with a signal that is aborted together with the caller's, or with {@link TimeIsUp}. */
export async function within<T>(
  milliseconds: number,
  { signal: source }: CallOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const follow = (): void => {
    controller.abort(source?.reason)
  }
  if (source?.aborted === true) follow()
  source?.addEventListener('abort', follow, { once: true })
  const timer = setTimeout(() => {
    controller.abort(new TimeIsUp(milliseconds))
  }, milliseconds)
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
    source?.removeEventListener('abort', follow)
  }
}
