import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'

/** One line of the result. */
export interface Measurement {
  readonly name: string
  readonly unit: 'ms' | 'us' | 'MB' | 'KB' | 'KiB' | 'k/s' | 'Gb/s' | 's/GiB'
  readonly ours: number
  /** The same kernel work as prepared messages on open sockets. */
  readonly floor?: number
  readonly peers?: Readonly<Record<string, number>>
  /** What else is to be known of it. */
  readonly note?: string
}

/** The middle of what was measured. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** How long `work` takes, in milliseconds. */
export async function timed(work: () => unknown): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** The longest stall of the event loop while `work` runs, in milliseconds. */
export async function longestStall(work: () => Promise<unknown>): Promise<number> {
  const resolutionMs = 1
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs })
  histogram.enable()
  await pause(20)
  histogram.reset()
  await work()
  await pause(5)
  histogram.disable()
  return histogram.max / 1e6 - resolutionMs
}

/** The longest pause for collecting garbage while `work` runs, in milliseconds. */
export async function longestCollection(work: () => Promise<unknown>): Promise<number> {
  let longest = 0
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longest = Math.max(longest, duration)
  })
  observer.observe({ entryTypes: ['gc'] })
  await work()
  await pause(5)
  observer.disconnect()
  return longest
}

/** Lets the kernel finish what it does in the background. */
export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}

/** Collects garbage now, so that it does not fall into what is measured next. */
export function collectGarbage(): void {
  ;(globalThis as { gc?: () => void }).gc?.()
}
