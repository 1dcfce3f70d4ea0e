import type { FirewallFact } from '@net/driverapi'
import type { PortLease } from '@net/portallocator'
import { cidrsOverlap, type Cidr } from '@net/types'

/** An address that is in use by what a refused record stands for, or that the kernel has for no known reason. */
export interface ClaimedAddress {
  readonly networkId: string
  readonly address: string
  /** Key of the record, or path of the namespace. */
  readonly by: string
}

/**
 * Records that nothing can be done with, and what is kept from others for their sake: what they stand for may live.
 * Ports and names are kept until the record is forgotten; pools and addresses for as long as the controller is open,
 * since what has them is still there.
 */
export class Claims {
  /** By key: why. */
  readonly refused = new Map<string, Error>()
  readonly #forgotten = new Set<string>()
  readonly #networks = new Map<string, string>()
  readonly #containers = new Map<string, string>()
  readonly #endpoints = new Map<string, { readonly networkId: string; readonly name: string }>()
  readonly #addresses: ClaimedAddress[] = []
  readonly #prefixes: { readonly prefix: Cidr; readonly by: string }[] = []
  readonly #leases = new Map<string, readonly PortLease[]>()
  readonly #facts = new Map<string, readonly FirewallFact[]>()

  addNetwork(key: string, name: string): void {
    this.#networks.set(name, key)
  }

  addEndpoint(key: string, networkId: string, name: string): void {
    this.#endpoints.set(key, { networkId, name })
  }

  addContainer(key: string, containerId: string): void {
    this.#containers.set(containerId, key)
  }

  addPrefix(prefix: Cidr, by: string): void {
    this.#prefixes.push({ prefix, by })
  }

  addAddress(claimed: ClaimedAddress): void {
    this.#addresses.push(claimed)
  }

  addLeases(key: string, leases: readonly PortLease[]): void {
    this.#leases.set(key, leases)
  }

  /** Packet rules that stand for the sake of a record. */
  addFacts(key: string, facts: readonly FirewallFact[]): void {
    this.#facts.set(key, facts)
  }

  /** All that stand, or those for the sake of one record. */
  facts(key?: string): readonly FirewallFact[] {
    return key === undefined ? [...this.#facts.values()].flat() : (this.#facts.get(key) ?? [])
  }

  /** Key of the record of a network of that name. */
  findNetwork(name: string): string | undefined {
    return this.#networks.get(name)
  }

  /** Key of the record of an endpoint of that name. */
  findEndpoint(networkId: string, name: string): string | undefined {
    for (const [key, one] of this.#endpoints) if (one.networkId === networkId && one.name === name) return key
    return undefined
  }

  /** Key of the record of the sandbox of that container. */
  findContainer(containerId: string): string | undefined {
    return this.#containers.get(containerId)
  }

  /** A pool that is in the way of `prefix`, and whose it is. */
  findOverlap(prefix: Cidr): { readonly prefix: Cidr; readonly by: string } | undefined {
    return this.#prefixes.find((one) => cidrsOverlap(one.prefix, prefix))
  }

  /** All that are claimed, of whichever network. */
  addresses(): string[] {
    return this.#addresses.map(({ address }) => address)
  }

  /** What is on a network for all that is known, beside its endpoints: their names, or where they were found. */
  on(networkId: string): string[] {
    const named = [...this.#endpoints].filter(([, one]) => one.networkId === networkId)
    const keys = new Set(named.map(([key]) => key))
    const others = this.#addresses.filter((one) => one.networkId === networkId && !keys.has(one.by))
    return [...new Set([...named.map(([, { name }]) => name), ...others.map(({ by }) => by)])]
  }

  isForgotten(key: string): boolean {
    return this.#forgotten.has(key)
  }

  /** Keeps names and ports of a record for it no longer; its packet rules must be gone. */
  async forget(key: string): Promise<void> {
    this.refused.delete(key)
    this.#forgotten.add(key)
    for (const names of [this.#networks, this.#containers]) {
      for (const [name, by] of names) if (by === key) names.delete(name)
    }
    this.#endpoints.delete(key)
    this.#facts.delete(key)
    for (const [at, { by }] of [...this.#addresses.entries()].reverse()) {
      if (by === key || this.refused.size === 0) this.#addresses.splice(at, 1)
    }
    const leases = this.#leases.get(key) ?? []
    this.#leases.delete(key)
    for (const lease of leases) await lease.release()
  }
}
