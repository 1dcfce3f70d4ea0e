import type { FirewallChange } from '@net/driverapi'
import { alreadyThere, checkFact, isSameFact, keyOf, type CheckedFact } from './fact.ts'

/** What a change comes down to, given what is held. */
export interface Difference {
  readonly removed: readonly CheckedFact[]
  readonly added: readonly CheckedFact[]
}

/** The facts that are true in the kernel. */
export class HeldFacts {
  readonly #facts = new Map<string, CheckedFact>()

  /** All of them. */
  all(): CheckedFact[] {
    return [...this.#facts.values()]
  }

  /**
   * What `change` has to do: facts to remove that are held, and facts to add. Removing comes first,
   * so that one change can lead a port elsewhere. Changes nothing.
   *
   * @throws PortPublishedError (`ERR_PORT_PUBLISHED`), NetworkKnownError (`ERR_NETWORK_KNOWN`),
   *   and the errors of {@link checkFact}
   */
  difference(change: FirewallChange): Difference {
    const removed = new Map<string, CheckedFact>()
    for (const fact of (change.remove ?? []).map(checkFact)) {
      const held = this.#facts.get(keyOf(fact))
      if (held !== undefined && isSameFact(held, fact)) removed.set(keyOf(fact), held)
    }
    const added = new Map<string, CheckedFact>()
    for (const fact of (change.add ?? []).map(checkFact)) {
      const key = keyOf(fact)
      if (added.has(key) || (this.#facts.has(key) && !removed.has(key))) throw alreadyThere(fact)
      added.set(key, fact)
    }
    return { removed: [...removed.values()], added: [...added.values()] }
  }

  /** The facts that are held once `difference` is applied. */
  after({ removed, added }: Difference): CheckedFact[] {
    const gone = new Set(removed.map(keyOf))
    return [...this.all().filter((fact) => !gone.has(keyOf(fact))), ...added]
  }

  /** Makes `difference` true here, once it is true in the kernel. */
  apply({ removed, added }: Difference): void {
    for (const fact of removed) this.#facts.delete(keyOf(fact))
    for (const fact of added) this.#facts.set(keyOf(fact), fact)
  }
}
