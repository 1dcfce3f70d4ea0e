import { RangeMap } from '@net/types'
import type { CheckedPort } from './fact.ts'

/** By address of the host; the empty string stands for every address. */
type ByAddress = Map<string, RangeMap<CheckedPort>>

const EVERY = ''

/** Which ports of the host lead somewhere. */
export class HostEnds {
  /** By family and protocol. */
  readonly #singles = new Map<string, ByAddress>()
  readonly #ranges = new Map<string, ByAddress>()

  /**
   * The ports that share one with `port` at the same address. A port of one address may be one of every address too,
   * and goes first; where one of the two is a range they exclude each other, for ranges of all addresses lie in one map.
   */
  overlapping(port: CheckedPort): CheckedPort[] {
    const address = port.hostAddress ?? EVERY
    const singles = this.#singles.get(groupOf(port))
    const ranges = this.#ranges.get(groupOf(port))
    const elsewhere = port.count === 1 ? [ranges] : [ranges, singles]
    return [
      ...[ranges, singles].flatMap((ends) => sharedWith(port, ends?.get(address))),
      ...elsewhere.flatMap((ends) => othersMet(address, ends).flatMap((others) => sharedWith(port, others))),
    ]
  }

  add(port: CheckedPort): void {
    const ends = port.count === 1 ? this.#singles : this.#ranges
    const byAddress = getOrMake(ends, groupOf(port), () => new Map<string, RangeMap<CheckedPort>>())
    const ports = getOrMake(byAddress, port.hostAddress ?? EVERY, () => new RangeMap<CheckedPort>())
    ports.add(port.hostPort, lastOf(port), port)
  }

  remove(port: CheckedPort): void {
    const byAddress = (port.count === 1 ? this.#singles : this.#ranges).get(groupOf(port))
    const ports = byAddress?.get(port.hostAddress ?? EVERY)
    ports?.remove(port.hostPort, lastOf(port))
    if (ports?.size === 0) byAddress?.delete(port.hostAddress ?? EVERY)
  }
}

function groupOf({ family, protocol }: CheckedPort): string {
  return `${family}/${protocol}`
}

function lastOf({ hostPort, count }: CheckedPort): number {
  return hostPort + count - 1
}

function sharedWith(port: CheckedPort, ports: RangeMap<CheckedPort> | undefined): CheckedPort[] {
  return ports?.overlapping(port.hostPort, lastOf(port)).map(({ value }) => value) ?? []
}

/** The ports of other addresses that `address` is part of, or that are part of it. */
function othersMet(address: string, ends: ByAddress | undefined): RangeMap<CheckedPort>[] {
  if (ends === undefined) return []
  if (address !== EVERY) return [ends.get(EVERY)].filter((ports) => ports !== undefined)
  return [...ends].flatMap(([other, ports]) => (other === EVERY ? [] : [ports]))
}

function getOrMake<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const found = map.get(key)
  if (found !== undefined) return found
  const made = make()
  map.set(key, made)
  return made
}
