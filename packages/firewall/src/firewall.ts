import type { Firewall, FirewallChange, FirewallFact, FirewallReport } from '@net/driverapi'
import { isErrno, NftablesSocket, type RuleEvent } from '@net/netlink-ffi'
import {
  ClosedError,
  isNetError,
  logFields,
  Rollback,
  silentLogger,
  Turns,
  type CallOptions,
  type Logger,
} from '@net/types'
import { eventMessages, type FirewallEvent } from './events.ts'
import { GroupReports } from './group-reports.ts'
import { ForeignFirewalls } from './foreign/foreign-firewalls.ts'
import { HeldFacts, type Difference } from './held-facts.ts'
import { resolveOptions, type FirewallOptions } from './options.ts'
import { commentOf, OwnedTable, translated, unsupported, type FirewallNetlink } from './owned-table.ts'
import { TableGuard, type GuardedTable, type GuardOptions } from './table-guard.ts'

/** What the wiring supplies. */
export interface FirewallDeps {
  /** Borrowed: it stays open. @defaultValue a socket of its own, in the calling thread's namespace */
  readonly netlink?: FirewallNetlink | undefined
  /** @defaultValue says nothing */
  readonly logger?: Logger | undefined
  /** Borrowed: looking at many rules takes turns. @defaultValue those of its own */
  readonly turns?: Turns | undefined
  /** Called with what happens without our doing, from the event loop. @defaultValue nobody is told */
  readonly onEvent?: ((event: FirewallEvent) => void) | undefined
}

/** A firewall whose rules can outlive it. */
export interface TableFirewall extends Firewall, AsyncDisposable {
  /** Lets go of the table, which stays as it is for the next opening by the same owner. Safe to call twice. */
  detach(): Promise<void>
}

/**
 * Puts the table in place, empty save for the facts given. A table of the same owner is replaced in
 * one step, without a moment in between in which there are no rules.
 *
 * @throws TableInUseError (`ERR_TABLE_IN_USE`), FirewallUnsupportedError (`ERR_FIREWALL_UNSUPPORTED`),
 *   FirewallNotPermittedError (`ERR_NOT_PERMITTED`), FirewallContendedError (`ERR_FIREWALL_CONTENDED`),
 *   InvalidFactError (`ERR_INVALID_FACT`), and for the facts given those of a change
 */
export async function openFirewall(options: FirewallOptions = {}, deps: FirewallDeps = {}): Promise<TableFirewall> {
  const { table, owner, facts, foreignFirewall, drift } = resolveOptions(options)
  const held = new HeldFacts()
  const difference = held.difference({ add: facts })
  const logger = deps.logger ?? silentLogger
  const tell = (event: FirewallEvent): void => {
    logger.warn(logFields(event), eventMessages[event.kind])
    deps.onEvent?.(event)
  }

  await using opening = new Rollback()
  const netlink = deps.netlink ?? translated(() => NftablesSocket.open({ logger }))
  const release = (): void => {
    if (deps.netlink === undefined) netlink.close()
  }
  opening.defer('open the socket', release)
  const ownedTable = new OwnedTable(netlink, table, owner)
  // Before there is anything to guard: nothing that happens from then on is missed.
  const foreign = new ForeignFirewalls({ netlink, table, owner, answer: foreignFirewall, tell, logger })
  const reports = new GroupReports(netlink, table.name, commentOf(owner), logger)
  const guard = guardTable(
    { ownedTable, held, reports },
    { port: netlink.port, table },
    { answer: drift, tell, foreign },
  )
  opening.defer('watch the rules', () => {
    guard.close()
  })
  ownedTable.replace(difference.added)
  held.apply(difference)
  opening.commit()
  reports.place()
  foreign.look()
  return new NftablesFirewall({
    ...{ table: ownedTable, held, reports, guard, foreign, logger, release },
    turns: deps.turns ?? new Turns(),
  })
}

/**
 * Removes a table of ours that nobody keeps any more: rules are made of something else now. That there is none is no error.
 *
 * @throws TableInUseError (`ERR_TABLE_IN_USE`), FirewallNotPermittedError (`ERR_NOT_PERMITTED`)
 */
export function removeFirewall(options: Pick<FirewallOptions, 'table' | 'owner'>, deps: FirewallDeps = {}): void {
  const { table, owner } = resolveOptions(options)
  const logger = deps.logger ?? silentLogger
  using netlink = translated(() => NftablesSocket.open({ logger }))
  try {
    new OwnedTable(netlink, table, owner).remove()
    new GroupReports(netlink, table.name, commentOf(owner), logger).remove()
  } catch (error) {
    // A kernel without them has none.
    if (!isErrno(error, ...unsupported)) throw error
  }
}

/** Has the table put in place whenever another program changes it, where that is the answer. */
function guardTable(
  { ownedTable, held, reports }: { ownedTable: OwnedTable; held: HeldFacts; reports: GroupReports },
  names: Pick<GuardedTable, 'port' | 'table'>,
  { foreign, ...options }: Omit<GuardOptions, 'alsoNotice'> & { readonly foreign: ForeignFirewalls },
): TableGuard {
  const guarded: GuardedTable = {
    ...names,
    isIntact: () => ownedTable.isIntact(held.all()),
    isPast: (generation) => ownedTable.isPast(generation),
    restore: () => {
      ownedTable.replace(held.all())
      reports.place()
    },
  }
  const alsoNotice = (event: RuleEvent): void => {
    foreign.notice(event)
  }
  return translated(() => new TableGuard(guarded, { ...options, alsoNotice }))
}

/** What a firewall consists of. */
interface FirewallParts {
  readonly table: OwnedTable
  readonly held: HeldFacts
  readonly reports: GroupReports
  readonly guard: TableGuard
  readonly foreign: ForeignFirewalls
  readonly logger: Logger
  readonly turns: Turns
  readonly release: () => void
}

/** Facts in memory and, as elements of a table, in the kernel. Every method does its work before it returns. */
class NftablesFirewall implements TableFirewall {
  readonly #parts: FirewallParts
  #closed = false

  constructor(parts: FirewallParts) {
    this.#parts = parts
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the contract's promise; the kernel answers at once
  async change(change: FirewallChange, call?: CallOptions): Promise<void> {
    call?.signal?.throwIfAborted()
    if (this.#closed) throw new ClosedError('firewall')
    const { table, held, foreign } = this.#parts
    const difference = held.difference(change)
    try {
      if (table.hasRulesFor(difference.added)) table.change(difference)
      else table.replace(held.after(difference))
    } catch (error) {
      this.#recover(error, difference)
    }
    held.apply(difference)
    // The old xtables tell nobody when they change: whoever makes a network learns of them then.
    if (difference.added.some(({ kind }) => kind === 'network')) foreign.look()
  }

  async inspect(facts: readonly FirewallFact[]): Promise<FirewallReport> {
    if (this.#closed) throw new ClosedError('firewall')
    // What they come to together: ranges of open ports that touch are one element.
    const wanted = new HeldFacts()
    wanted.apply(wanted.difference({ add: facts }))
    return this.#parts.table.inspect(wanted.all(), this.#parts.turns)
  }

  /** After a change that failed: makes it true all the same, or throws with everything as it was. */
  #recover(error: unknown, difference: Difference): void {
    const { table, held, logger } = this.#parts
    if (isErrno(error, 'ENOENT', 'EEXIST', 'ENOTEMPTY')) {
      // Our books and the kernel differ: another program removed the table or changed its elements. ENOTEMPTY: its
      // range overlaps with one of ours.
      logger.debug({ err: error }, 'packet rules are not as they were left; putting all of them in place')
      table.replace(held.after(difference))
      return
    }
    // Whether it was carried out is not known when the answer is lost, nor when half of it could not be undone; and a
    // table that does not fit into one batch is not put in place by all or nothing.
    const isUnclear =
      isErrno(error, 'ENOBUFS') ||
      isNetError(error, 'ERR_NO_REPLY') ||
      error instanceof AggregateError ||
      !table.hasRulesFor(difference.added)
    if (isUnclear) table.replace(held.all())
    throw error
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as above
  async close(): Promise<void> {
    if (this.#closed) return
    const { foreign, table, reports, logger } = this.#parts
    try {
      foreign.remove()
    } catch (error) {
      logger.error({ err: error }, 'could not take rules out of chains of other programs')
    }
    table.remove()
    reports.remove()
    this.#letGo()
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as above
  async detach(): Promise<void> {
    this.#letGo()
  }

  #letGo(): void {
    if (this.#closed) return
    this.#closed = true
    this.#parts.guard.close()
    this.#parts.foreign.close()
    this.#parts.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
