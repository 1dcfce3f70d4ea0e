/** A signal that fires after some time, or with another one. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal
}

/**
 * Begins a time limit; dispose it when the work is done. Nothing of it stays with the outer signal then, which lives
 * as long as a resolver and sees many of them.
 */
export function deadline(limitMs: number, outer: AbortSignal): Deadline {
  const controller = new AbortController()
  const giveUp = (): void => {
    controller.abort(outer.reason)
  }
  const timer = setTimeout(() => {
    controller.abort(new Error(`no answer within ${limitMs} ms`))
  }, limitMs)
  if (outer.aborted) giveUp()
  else outer.addEventListener('abort', giveUp, { once: true })
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      clearTimeout(timer)
      outer.removeEventListener('abort', giveUp)
    },
  }
}
