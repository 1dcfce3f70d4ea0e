import type { Sample } from './open-metrics.ts'

/** Upper bounds in seconds: an attach takes some milliseconds, one of many at once as long as those before it. */
const BOUNDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5] as const

/** How long things took, counted by how long. */
export class Histogram {
  readonly #counts = new Array<number>(BOUNDS.length).fill(0)
  #count = 0
  #sum = 0

  /** Times `work`; what fails is not counted. */
  async time<T>(work: () => Promise<T>): Promise<T> {
    const start = performance.now()
    const result = await work()
    this.observe((performance.now() - start) / 1_000)
    return result
  }

  observe(seconds: number): void {
    this.#count++
    this.#sum += seconds
    const at = BOUNDS.findIndex((bound) => seconds <= bound)
    if (at >= 0) this.#counts[at] = (this.#counts[at] ?? 0) + 1
  }

  samples(): Sample[] {
    let below = 0
    const buckets = BOUNDS.map((bound, at): Sample => {
      below += this.#counts[at] ?? 0
      // A canonical number: 1 is written 1.0.
      const le = Number.isInteger(bound) ? bound.toFixed(1) : String(bound)
      return { suffix: '_bucket', labels: { le }, value: below }
    })
    return [
      ...buckets,
      { suffix: '_bucket', labels: { le: '+Inf' }, value: this.#count },
      { suffix: '_count', value: this.#count },
      { suffix: '_sum', value: this.#sum },
    ]
  }
}
