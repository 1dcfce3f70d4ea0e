import { protocolNumbers, RangeMap } from '@net/types'
import type { CheckedPort } from './fact.ts'

/** By address of the host; the empty string stands for every address. */
type ByAddress = Map<string, RangeMap<CheckedPort>>

const EVERY = ''

/** Which ports of the host lead somewhere. */
export class HostEnds {
  /** By family and protocol. */
  readonly #singles = new Map<number, ByAddress>()
  readonly #ranges = new Map<number, ByAddress>()

  /** The port with exactly this host end. */
  find(port: CheckedPort): CheckedPort | undefined {
    const byAddress = (port.count === 1 ? this.#singles : this.#ranges).get(groupOf(port))
    const entry = byAddress?.get(port.hostAddress ?? EVERY)?.find(port.hostPort)
    return entry?.first === port.hostPort && entry.last === lastOf(port) ? entry.value : undefined
  }

  /** All of them. */
  *all(): Generator<CheckedPort> {
    for (const groups of [this.#singles, this.#ranges]) {
      for (const byAddress of groups.values()) {
        for (const ports of byAddress.values()) for (const { value } of ports) yield value
      }
    }
  }

  /**
   * The ports that share one with `port` at the same address. A port of one address may be one of every address too,
   * and goes first; where one of the two is a range they exclude each other, for ranges of all addresses lie in one map.
   */
  overlapping(port: CheckedPort): CheckedPort[] {
    const address = port.hostAddress ?? EVERY
    const singles = this.#singles.get(groupOf(port))
    const ranges = this.#ranges.get(groupOf(port))
    const found: CheckedPort[] = []
    addShared(found, port, singles?.get(address))
    addShared(found, port, ranges?.get(address))
    for (const others of othersMet(address, ranges)) addShared(found, port, others)
    if (port.count > 1) for (const others of othersMet(address, singles)) addShared(found, port, others)
    return found
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

/** A number: there may be thousands of ports in a change, and a text for each of them takes its time. */
function groupOf({ family, protocol }: CheckedPort): number {
  return family * 256 + protocolNumbers[protocol]
}

function lastOf({ hostPort, count }: CheckedPort): number {
  return hostPort + count - 1
}

function addShared(found: CheckedPort[], port: CheckedPort, ports: RangeMap<CheckedPort> | undefined): void {
  // Mostly there is none, and looking for it takes no array.
  if (ports?.find(port.hostPort, lastOf(port)) === undefined) return
  for (const { value } of ports.overlapping(port.hostPort, lastOf(port))) found.push(value)
}

/** The ports of other addresses that `address` is part of, or that are part of it. */
function* othersMet(address: string, ends: ByAddress | undefined): Iterable<RangeMap<CheckedPort>> {
  if (ends === undefined) return
  const every = ends.get(EVERY)
  if (address === EVERY) {
    for (const ports of ends.values()) if (ports !== every) yield ports
  } else if (every !== undefined) yield every
}

function getOrMake<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const found = map.get(key)
  if (found !== undefined) return found
  const made = make()
  map.set(key, made)
  return made
}
