/** The reason of a signal that was aborted since time was up. */
export class TimeIsUp extends Error {
  constructor(milliseconds: number) {
    super(`no answer within ${milliseconds} ms`)
  }
}

/**
 * Runs `work` with a signal that is aborted together with any of `sources`, or with {@link TimeIsUp}.
 *
 * Unlike `AbortSignal.any` it leaves nothing at signals that live long.
 */
export async function within<T>(
  sources: readonly (AbortSignal | undefined)[],
  milliseconds: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const timer = setTimeout(() => {
    controller.abort(new TimeIsUp(milliseconds))
  }, milliseconds)
  const leave = sources.map((source) => follow(source, controller))
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
    for (const step of leave) step()
  }
}

/** Aborts `controller` with `source`, until the function returned is called. */
export function follow(source: AbortSignal | undefined, controller: AbortController): () => void {
  const abort = (): void => {
    controller.abort(source?.reason)
  }
  if (source?.aborted === true) abort()
  source?.addEventListener('abort', abort, { once: true })
  return () => {
    source?.removeEventListener('abort', abort)
  }
}

/** Resolves after a while; rejects with a signal's reason when one is aborted first. */
export function pause(milliseconds: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer)
      for (const signal of signals) signal.removeEventListener('abort', end)
      const aborted = signals.find((signal) => signal.aborted)
      if (aborted === undefined) resolve()
      else reject(aborted.reason as Error)
    }
    const timer = setTimeout(end, milliseconds)
    for (const signal of signals) signal.addEventListener('abort', end)
    if (signals.some((signal) => signal.aborted)) end()
  })
}
