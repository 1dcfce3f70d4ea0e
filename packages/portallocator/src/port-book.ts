import { RangeMap, type Protocol, type RangeEntry } from '@net/types'
import { addressesMeet } from './host-address.ts'

/** Ports that are taken, and on which address. */
export type TakenPorts = RangeEntry<string>

/** Which ports are taken, by protocol and address. Knows nothing of the kernel. */
export class PortBook {
  /** By protocol and address; each entry's value is its address. */
  readonly #taken = new Map<Protocol, Map<string, RangeMap<string>>>()

  /** The lowest ports of `first` to `last` that are in the way of taking these on `address`, or undefined. */
  conflict(protocol: Protocol, first: number, last: number, address: string): TakenPorts | undefined {
    let found: TakenPorts | undefined
    for (const ports of this.#meeting(protocol, address)) {
      const entry = ports.find(first, last)
      if (entry !== undefined && entry.first < (found?.first ?? Infinity)) found = entry
    }
    return found
  }

  add(protocol: Protocol, first: number, last: number, address: string): void {
    const byAddress = this.#taken.get(protocol) ?? new Map<string, RangeMap<string>>()
    const ports = byAddress.get(address) ?? new RangeMap<string>()
    ports.add(first, last, address)
    this.#taken.set(protocol, byAddress.set(address, ports))
  }

  remove(protocol: Protocol, first: number, last: number, address: string): void {
    const byAddress = this.#taken.get(protocol)
    const ports = byAddress?.get(address)
    ports?.remove(first, last)
    if (ports?.size === 0) byAddress?.delete(address)
  }

  /** What is taken on addresses that have something in common with `address`. */
  *#meeting(protocol: Protocol, address: string): Iterable<RangeMap<string>> {
    for (const [other, ports] of this.#taken.get(protocol) ?? []) if (addressesMeet(address, other)) yield ports
  }
}
