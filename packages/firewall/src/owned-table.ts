import type { FirewallReport } from '@net/driverapi'
import {
  addElements,
  deleteElements,
  deleteTable,
  isErrno,
  NetlinkError,
  type NetlinkMessage,
  type NftablesSocket,
  type TableReference,
} from '@net/netlink-ffi'
import { isNetError, type Turns } from '@net/types'
import { commitInParts, type Step } from './commit-in-parts.ts'
import { elementsOf, isShifted, type PlacedElement } from './elements.ts'
import {
  FirewallContendedError,
  FirewallNotPermittedError,
  FirewallUnsupportedError,
  TableInUseError,
} from './errors.ts'
import type { CheckedFact } from './fact.ts'
import type { Difference } from './held-facts.ts'
import { inspectTable } from './inspect-table.ts'
import { layoutOf, type LayoutStep } from './layout.ts'
import { setIn, type SetName } from './sets.ts'
import { fingerprintOf, holdsElements } from './table-state.ts'

/** The slice of an nftables socket that the firewall uses. */
export type FirewallNetlink = Pick<
  NftablesSocket,
  'commit' | 'generation' | 'findTable' | 'listChains' | 'listRules' | 'listSets' | 'listElements' | 'port' | 'close'
>

/** Other programs may change rules between our look and our batch; so often is it tried anew. */
const ATTEMPTS = 10

/** The table in the kernel that bears the owner's name. */
export class OwnedTable {
  readonly #netlink: FirewallNetlink
  readonly #table: TableReference
  readonly #owner: string
  /** What the kernel's generation was before the table was put in place last, and what the table is known again by. */
  #placed: { readonly after: number; readonly fingerprint: string } | undefined
  #hasShifted = false

  constructor(netlink: FirewallNetlink, table: TableReference, owner: string) {
    this.#netlink = netlink
    this.#table = table
    this.#owner = owner
  }

  /**
   * Puts a table with `facts` in the place of what is there, if that is ours.
   *
   * @throws TableInUseError (`ERR_TABLE_IN_USE`), FirewallUnsupportedError (`ERR_FIREWALL_UNSUPPORTED`),
   *   FirewallNotPermittedError (`ERR_NOT_PERMITTED`), FirewallContendedError (`ERR_FIREWALL_CONTENDED`)
   */
  replace(facts: readonly CheckedFact[]): void {
    const hasShifted = facts.some(isShifted)
    const layout = layoutOf(this.#table, { comment: commentOf(this.#owner), hasShifted })
    try {
      const after = this.#place(layout, facts)
      this.#hasShifted = hasShifted
      this.#placed = { after, fingerprint: this.#fingerprint() }
    } catch (error) {
      if (!isErrno(error, 'ENOENT', ...unsupported) || !isNetError(error)) throw error
      const refused = error instanceof NetlinkError ? error.request : ''
      const needs = layout.find(({ message }) => message.describe() === refused)?.needs
      throw new FirewallUnsupportedError(needs ?? 'nf_tables', error)
    }
  }

  /** Whether `facts` can be added to the table as it is; else all of it has to be put in place anew. */
  hasRulesFor(facts: readonly CheckedFact[]): boolean {
    return this.#hasShifted || !facts.some(isShifted)
  }

  /** Changes the elements of the table: in one batch if there is room for it. @throws NetlinkError (`ERR_NETLINK`) */
  change({ removed, added }: Pick<Difference, 'removed' | 'added'>): void {
    const steps: Step[] = [
      ...removed.map((fact) => ({ kind: 'remove', fact }) as const),
      ...added.map((fact) => ({ kind: 'add', fact }) as const),
    ]
    commitInParts((some) => {
      translated(() => {
        this.#netlink.commit([
          ...elementMessages(this.#table, factsOf(some, 'remove'), deleteElements),
          ...elementMessages(this.#table, factsOf(some, 'add'), addElements),
        ])
      })
    }, steps)
  }

  /** Whether the kernel has the table with `facts` and nothing else in it. */
  isIntact(facts: readonly CheckedFact[]): boolean {
    try {
      return (
        this.#isThere() &&
        this.#placed?.fingerprint === fingerprintOf(this.#netlink, this.#table) &&
        holdsElements(this.#netlink, this.#table, facts.flatMap(elementsOf))
      )
    } catch {
      // Gone or changed while it was read. Whoever asks puts it in place, and meets the reason there if it lasts.
      return false
    }
  }

  /** What the kernel has, beside what `facts` call for. */
  async inspect(facts: readonly CheckedFact[], turns: Turns): Promise<FirewallReport> {
    const look = { netlink: this.#netlink, table: this.#table, turns }
    const isAsMade = this.#placed?.fingerprint === this.#fingerprint()
    const report = await inspectTable(look, facts.flatMap(elementsOf))
    return isAsMade ? report : { ...report, missing: ['the chains and rules that were made', ...report.missing] }
  }

  /** Whether a change that made that generation came before the table was put in place last. */
  isPast(generation: number): boolean {
    // Generations are numbers of 32 bits that begin anew.
    return this.#placed !== undefined && ((generation - this.#placed.after) | 0) <= 0
  }

  /** Removes the table, if it is there and ours. */
  remove(): void {
    this.#whileUnchanged((isThere) => (isThere ? [deleteTable(this.#table)] : []))
  }

  /** Puts the table in place, and says which generation it found. */
  #place(layout: readonly LayoutStep[], facts: readonly CheckedFact[]): number {
    const table = layout.map(({ message }) => message)
    const withTable = (elements: readonly NetlinkMessage[]): number =>
      this.#whileUnchanged((isThere) => [...(isThere ? [deleteTable(this.#table)] : []), ...table, ...elements])
    try {
      return withTable(elementMessages(this.#table, facts, addElements))
    } catch (error) {
      if (!isNetError(error, 'ERR_BATCH_TOO_LARGE')) throw error
      return this.#placeInParts(withTable, facts)
    }
  }

  /** Where there is no room for all: networks first, so that what is not published is never let in. */
  #placeInParts(withTable: (elements: readonly NetlinkMessage[]) => number, facts: readonly CheckedFact[]): number {
    const after = withTable([])
    const isPort = ({ kind }: CheckedFact): boolean => kind === 'port' || kind === 'open-port'
    try {
      this.change({ removed: [], added: [...facts.filter((fact) => !isPort(fact)), ...facts.filter(isPort)] })
    } catch (error) {
      this.remove()
      throw error
    }
    return after
  }

  #fingerprint(): string {
    try {
      return fingerprintOf(this.#netlink, this.#table)
    } catch {
      // Changed again already. It is not taken for intact then, and put in place when somebody asks.
      return ''
    }
  }

  /**
   * Looks whether our table is there and commits what follows from it, unless the rules changed in between. Returns
   * the generation that it found.
   */
  #whileUnchanged(messagesGiven: (isThere: boolean) => readonly NetlinkMessage[]): number {
    for (let attempt = 1; ; attempt++) {
      try {
        return translated(() => {
          const generation = this.#netlink.generation()
          this.#netlink.commit(messagesGiven(this.#isThere()), { generation })
          return generation
        })
      } catch (error) {
        if (!isErrno(error, 'ERESTART')) throw error
        if (attempt === ATTEMPTS) throw new FirewallContendedError(ATTEMPTS, error)
      }
    }
  }

  #isThere(): boolean {
    const found = this.#netlink.findTable(this.#table)
    if (found === undefined) return false
    if (found.comment === commentOf(this.#owner)) return true
    throw new TableInUseError(`${found.family} ${found.name}`, this.#owner, found.comment)
  }
}

/** Refusals that mean that the kernel was built without. */
export const unsupported = ['EOPNOTSUPP', 'EPROTONOSUPPORT', 'EAFNOSUPPORT', 'EPFNOSUPPORT'] as const

/** Runs `work`; what the kernel's refusals mean in our words where they have one. */
export function translated<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (isErrno(error, 'EPERM', 'EACCES')) throw new FirewallNotPermittedError(error)
    if (isErrno(error, ...unsupported)) throw new FirewallUnsupportedError('nf_tables', error)
    throw error
  }
}

/** What the table bears: `nft` shows it. */
export function commentOf(owner: string): string {
  return `owner ${owner}`
}

function factsOf(steps: readonly Step[], kind: Step['kind']): CheckedFact[] {
  return steps.filter((step) => step.kind === kind).map(({ fact }) => fact)
}

function elementMessages(
  table: TableReference,
  facts: readonly CheckedFact[],
  messagesOf: typeof addElements,
): NetlinkMessage[] {
  return [...bySet(facts)].flatMap(([name, elements]) => messagesOf(setIn(table, name), elements))
}

function bySet(facts: readonly CheckedFact[]): Map<SetName, PlacedElement[]> {
  const groups = new Map<SetName, PlacedElement[]>()
  for (const fact of facts) {
    for (const element of elementsOf(fact)) {
      const group = groups.get(element.set)
      if (group === undefined) groups.set(element.set, [element])
      else group.push(element)
    }
  }
  return groups
}
