import type { Protocol } from '@net/types'
import type { PortRange } from './port-range.ts'

/** Where in a range the next port is looked for: ports go round in a circle, so that a released one rests a while. */
export class PortCircle {
  /** By protocol and range. */
  readonly #next = new Map<string, number>()

  next(protocol: Protocol, range: PortRange): number {
    return this.#next.get(keyOf(protocol, range)) ?? range.first
  }

  /** Goes on at `port`, or at the range's beginning where that is beyond its end; says where. */
  moveTo(protocol: Protocol, range: PortRange, port: number): number {
    const next = port > range.last ? range.first : port
    this.#next.set(keyOf(protocol, range), next)
    return next
  }
}

function keyOf(protocol: Protocol, { first, last }: PortRange): string {
  return `${protocol}/${first}-${last}`
}
