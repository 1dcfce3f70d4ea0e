import type { FirewallFact } from '@net/driverapi'
import { HeldFacts } from './held-facts.ts'

/** Facts that could be true together, known without a firewall: it says of each what a firewall would say. */
export class FactBook {
  readonly #held = new HeldFacts()

  /**
   * Adds all of them, or none.
   *
   * @throws `ERR_PORT_PUBLISHED`, `ERR_NETWORK_KNOWN`, `ERR_FORWARDING_KNOWN`, `ERR_INVALID_FACT`, …
   */
  add(facts: readonly FirewallFact[]): void {
    if (facts.length > 0) this.#held.apply(this.#held.difference({ add: facts }))
  }
}
