import type { FirewallChange } from '@net/driverapi'
import { alreadyThere, checkFact, isSameFact, keyOf, type CheckedFact } from './fact.ts'

/** What a change comes down to, given what is held. */
export interface Difference {
  readonly removed: readonly CheckedFact[]
  readonly added: readonly CheckedFact[]
  /** How often facts that may be stated more than once are stated from then on, by their keys. */
  readonly counts: ReadonlyMap<string, number>
}

/** The facts that are true in the kernel. */
export class HeldFacts {
  readonly #facts = new Map<string, CheckedFact>()
  /** Open ports, which may be stated more than once: how often they are. */
  readonly #counts = new Map<string, number>()

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
    const counts = new Map<string, number>()
    for (const fact of (change.remove ?? []).map(checkFact)) {
      const held = this.#facts.get(keyOf(fact))
      if (held === undefined || !isSameFact(held, fact)) continue
      if (fact.kind !== 'open-port') removed.set(keyOf(fact), held)
      else if (this.#count(counts, fact, -1) === 0) removed.set(keyOf(fact), held)
    }
    const added = new Map<string, CheckedFact>()
    for (const fact of (change.add ?? []).map(checkFact)) {
      const key = keyOf(fact)
      if (fact.kind === 'open-port') {
        const isFirst = this.#count(counts, fact, 1) === 1
        // Removed and added in one change: it stays as it is.
        if (isFirst && !removed.delete(key)) added.set(key, fact)
        continue
      }
      if (added.has(key) || (this.#facts.has(key) && !removed.has(key))) throw alreadyThere(fact)
      added.set(key, fact)
    }
    return { removed: [...removed.values()], added: [...added.values()], counts }
  }

  /** The facts that are held once `difference` is applied. */
  after({ removed, added }: Difference): CheckedFact[] {
    const gone = new Set(removed.map(keyOf))
    return [...this.all().filter((fact) => !gone.has(keyOf(fact))), ...added]
  }

  /** Makes `difference` true here, once it is true in the kernel. */
  apply({ removed, added, counts }: Difference): void {
    for (const fact of removed) this.#facts.delete(keyOf(fact))
    for (const fact of added) this.#facts.set(keyOf(fact), fact)
    for (const [key, count] of counts) {
      if (count > 0) this.#counts.set(key, count)
      else this.#counts.delete(key)
    }
  }

  /** Counts a statement of `fact` more or less in `counts`, never below none, and says how many there are then. */
  #count(counts: Map<string, number>, fact: CheckedFact, change: 1 | -1): number {
    const key = keyOf(fact)
    const count = Math.max(0, (counts.get(key) ?? this.#counts.get(key) ?? 0) + change)
    counts.set(key, count)
    return count
  }
}
