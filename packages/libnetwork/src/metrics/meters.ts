import type { Happening } from '../events.ts'
import { Histogram } from './histogram.ts'

/** What a controller counts as it goes. */
export class Meters {
  readonly attach = new Histogram()
  readonly detach = new Histogram()
  /** By kind. */
  readonly events = new Map<string, number>()
  /** What became of drift, by outcome. */
  readonly drift = new Map<string, number>()

  /** Counts an event. */
  count(event: Happening): void {
    add(this.events, event.kind)
    if (event.kind === 'drift') add(this.drift, event.outcome)
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
