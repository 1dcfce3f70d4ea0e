import type { FirewallChange } from '@net/driverapi'
import {
  alreadyThere,
  checkFact,
  isCounted,
  isSameFact,
  keyOf,
  type CheckedFact,
  type CheckedOpenPort,
  type CheckedPort,
  type KnownAddresses,
} from './fact.ts'
import { HostEnds } from './host-ends.ts'
import { OpenRanges, type OpenRangesChange } from './open-ranges.ts'

/** What a change comes down to, given what is held. */
export interface Difference {
  readonly removed: readonly CheckedFact[]
  readonly added: readonly CheckedFact[]
  /** How often facts that may be stated more than once are stated from then on, by their keys. */
  readonly counts: ReadonlyMap<string, number>
  readonly openRanges: OpenRangesChange
}

/** The facts that are true in the kernel. */
export class HeldFacts {
  /** All but published ports. */
  readonly #facts = new Map<string, CheckedFact>()
  readonly #ports = new HostEnds()
  /** Open ports, which may be stated more than once: how often they are. */
  readonly #counts = new Map<string, number>()
  readonly #openRanges = new OpenRanges()

  /** All of them. */
  all(): CheckedFact[] {
    return [...this.#facts.values(), ...this.#ports.all()]
  }

  /**
   * What `change` has to do: facts to remove that are held, and facts to add. Removing comes first,
   * so that one change can lead a port elsewhere. Changes nothing.
   *
   * @throws PortPublishedError (`ERR_PORT_PUBLISHED`), NetworkKnownError (`ERR_NETWORK_KNOWN`),
   *   and the errors of {@link checkFact}
   */
  difference(change: FirewallChange): Difference {
    const addresses: KnownAddresses = new Map()
    const remove = sortOut((change.remove ?? []).map((fact) => checkFact(fact, addresses)))
    const add = sortOut((change.add ?? []).map((fact) => checkFact(fact, addresses)))
    const removedPorts = this.#removedPorts(remove.ports)
    this.#checkHostEnds(add.ports, removedPorts)
    const openRanges = this.#openRanges.change(remove.openRanges, add.openRanges)
    const counts = new Map<string, number>()
    const removed = this.#removed(remove.others, counts)
    const added = this.#added(add.others, counts, removed)
    return {
      removed: [...removed.values(), ...removedPorts, ...openRanges.removed],
      added: [...added.values(), ...add.ports, ...openRanges.added],
      counts,
      openRanges,
    }
  }

  /** The facts that are held once `difference` is applied. */
  after({ removed, added }: Difference): CheckedFact[] {
    const gone = new Set(removed.map(keyOf))
    return [...this.all().filter((fact) => !gone.has(keyOf(fact))), ...added]
  }

  /** Makes `difference` true here, once it is true in the kernel. */
  apply({ removed, added, counts, openRanges }: Difference): void {
    for (const fact of removed) {
      if (fact.kind === 'port') this.#ports.remove(fact)
      else this.#facts.delete(keyOf(fact))
    }
    for (const fact of added) {
      if (fact.kind === 'port') this.#ports.add(fact)
      else this.#facts.set(keyOf(fact), fact)
    }
    for (const [key, count] of counts) {
      if (count > 0) this.#counts.set(key, count)
      else this.#counts.delete(key)
    }
    this.#openRanges.apply(openRanges)
  }

  /** The ports held that are to go. */
  #removedPorts(ports: readonly CheckedPort[]): Set<CheckedPort> {
    const removed = new Set<CheckedPort>()
    for (const port of ports) {
      const held = this.#ports.find(port)
      if (held !== undefined && isSameFact(held, port)) removed.add(held)
    }
    return removed
  }

  /** Sees to it that no port of the host leads to two places. */
  #checkHostEnds(ports: readonly CheckedPort[], removed: ReadonlySet<CheckedPort>): void {
    const added = new HostEnds()
    for (const port of ports) {
      const stays = this.#ports.overlapping(port).find((other) => !removed.has(other))
      const other = stays ?? added.overlapping(port)[0]
      if (other !== undefined) throw alreadyThere(port, other)
      added.add(port)
    }
  }

  /** Facts that go, by their keys; open ports that are stated less often are counted in `counts`. */
  #removed(facts: readonly CheckedFact[], counts: Map<string, number>): Map<string, CheckedFact> {
    const removed = new Map<string, CheckedFact>()
    for (const fact of facts) {
      const held = this.#facts.get(keyOf(fact))
      if (held === undefined || !isSameFact(held, fact)) continue
      if (!isCounted(fact)) removed.set(keyOf(fact), held)
      else if (this.#count(counts, fact, -1) === 0) removed.set(keyOf(fact), held)
    }
    return removed
  }

  /** Facts that come, by their keys. Those that need not go for that are taken out of `removed`. */
  #added(
    facts: readonly CheckedFact[],
    counts: Map<string, number>,
    removed: Map<string, CheckedFact>,
  ): Map<string, CheckedFact> {
    const added = new Map<string, CheckedFact>()
    for (const fact of facts) {
      const key = keyOf(fact)
      if (isCounted(fact)) {
        const isFirst = this.#count(counts, fact, 1) === 1
        // Removed and added in one change: it stays as it is.
        if (isFirst && !removed.delete(key)) added.set(key, fact)
        continue
      }
      if (added.has(key) || (this.#facts.has(key) && !removed.has(key))) throw alreadyThere(fact)
      added.set(key, fact)
    }
    return added
  }

  /** Counts a statement of `fact` more or less in `counts`, never below none, and says how many there are then. */
  #count(counts: Map<string, number>, fact: CheckedFact, change: 1 | -1): number {
    const key = keyOf(fact)
    const count = Math.max(0, (counts.get(key) ?? this.#counts.get(key) ?? 0) + change)
    counts.set(key, count)
    return count
  }
}

/** Facts by how they are held. */
interface Sorted {
  readonly ports: readonly CheckedPort[]
  readonly openRanges: readonly CheckedOpenPort[]
  readonly others: readonly CheckedFact[]
}

function sortOut(facts: readonly CheckedFact[]): Sorted {
  const ports: CheckedPort[] = []
  const openRanges: CheckedOpenPort[] = []
  const others: CheckedFact[] = []
  for (const fact of facts) {
    if (fact.kind === 'port') ports.push(fact)
    else if (fact.kind === 'open-port' && fact.count > 1) openRanges.push(fact)
    else others.push(fact)
  }
  return { ports, openRanges, others }
}
