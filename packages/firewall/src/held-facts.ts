import type { FirewallChange } from '@net/driverapi'
import {
  alreadyThere,
  checkFact,
  isSameFact,
  keyOf,
  type CheckedFact,
  type CheckedOpenPort,
  type CheckedPort,
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
  readonly #facts = new Map<string, CheckedFact>()
  /** Open ports, which may be stated more than once: how often they are. */
  readonly #counts = new Map<string, number>()
  readonly #openRanges = new OpenRanges()
  readonly #hostEnds = new HostEnds()

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
    const remove = (change.remove ?? []).map(checkFact)
    const add = (change.add ?? []).map(checkFact)
    const openRanges = this.#openRanges.change(openRangesOf(remove), openRangesOf(add))
    const counts = new Map<string, number>()
    const removed = this.#removed(remove, counts)
    const added = this.#added(add, counts, removed)
    return {
      removed: [...removed.values(), ...openRanges.removed],
      added: [...added.values(), ...openRanges.added],
      counts,
      openRanges,
    }
  }

  /** Facts that go, by their keys; open ports that are stated less often are counted in `counts`. */
  #removed(remove: readonly CheckedFact[], counts: Map<string, number>): Map<string, CheckedFact> {
    const removed = new Map<string, CheckedFact>()
    for (const fact of remove) {
      const held = this.#facts.get(keyOf(fact))
      if (isOpenRange(fact) || held === undefined || !isSameFact(held, fact)) continue
      if (fact.kind !== 'open-port') removed.set(keyOf(fact), held)
      else if (this.#count(counts, fact, -1) === 0) removed.set(keyOf(fact), held)
    }
    return removed
  }

  /** Facts that come, by their keys. Those that need not go for that are taken out of `removed`. */
  #added(
    add: readonly CheckedFact[],
    counts: Map<string, number>,
    removed: Map<string, CheckedFact>,
  ): Map<string, CheckedFact> {
    const added = new Map<string, CheckedFact>()
    const addedEnds = new HostEnds()
    for (const fact of add) {
      if (isOpenRange(fact)) continue
      const key = keyOf(fact)
      if (fact.kind === 'open-port') {
        const isFirst = this.#count(counts, fact, 1) === 1
        // Removed and added in one change: it stays as it is.
        if (isFirst && !removed.delete(key)) added.set(key, fact)
        continue
      }
      if (fact.kind === 'port') this.#checkHostEnd(fact, removed, addedEnds)
      else if (added.has(key) || (this.#facts.has(key) && !removed.has(key))) throw alreadyThere(fact)
      added.set(key, fact)
    }
    return added
  }

  /** The facts that are held once `difference` is applied. */
  after({ removed, added }: Difference): CheckedFact[] {
    const gone = new Set(removed.map(keyOf))
    return [...this.all().filter((fact) => !gone.has(keyOf(fact))), ...added]
  }

  /** Makes `difference` true here, once it is true in the kernel. */
  apply({ removed, added, counts, openRanges }: Difference): void {
    for (const fact of removed) {
      this.#facts.delete(keyOf(fact))
      if (fact.kind === 'port') this.#hostEnds.remove(fact)
    }
    for (const fact of added) {
      this.#facts.set(keyOf(fact), fact)
      if (fact.kind === 'port') this.#hostEnds.add(fact)
    }
    for (const [key, count] of counts) {
      if (count > 0) this.#counts.set(key, count)
      else this.#counts.delete(key)
    }
    this.#openRanges.apply(openRanges)
  }

  /** Sees to it that no port of the host leads to two places; `added` are the ends of the change so far. */
  #checkHostEnd(port: CheckedPort, removed: ReadonlyMap<string, CheckedFact>, added: HostEnds): void {
    const stays = this.#hostEnds.overlapping(port).filter((other) => !removed.has(keyOf(other)))
    const [other] = [...stays, ...added.overlapping(port)]
    if (other !== undefined) throw alreadyThere(port, other)
    added.add(port)
  }

  /** Counts a statement of `fact` more or less in `counts`, never below none, and says how many there are then. */
  #count(counts: Map<string, number>, fact: CheckedFact, change: 1 | -1): number {
    const key = keyOf(fact)
    const count = Math.max(0, (counts.get(key) ?? this.#counts.get(key) ?? 0) + change)
    counts.set(key, count)
    return count
  }
}

function isOpenRange(fact: CheckedFact): boolean {
  return fact.kind === 'open-port' && fact.count > 1
}

function openRangesOf(facts: readonly CheckedFact[]): CheckedOpenPort[] {
  return facts.filter((fact) => fact.kind === 'open-port').filter(isOpenRange)
}
