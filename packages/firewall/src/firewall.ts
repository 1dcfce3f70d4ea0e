import type { Firewall, FirewallChange } from '@net/driverapi'
import { isErrno, NftablesSocket } from '@net/netlink-ffi'
import { ClosedError, silentLogger, type CallOptions, type Logger } from '@net/types'
import { HeldFacts } from './held-facts.ts'
import { resolveOptions, type FirewallOptions } from './options.ts'
import { OwnedTable, translated, type FirewallNetlink } from './owned-table.ts'

/** What the wiring supplies. */
export interface FirewallDeps {
  /** Borrowed: it stays open. @defaultValue a socket of its own, in the calling thread's namespace */
  readonly netlink?: FirewallNetlink | undefined
  /** @defaultValue says nothing */
  readonly logger?: Logger | undefined
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
// eslint-disable-next-line @typescript-eslint/require-await -- a promise, whatever opening takes one day
export async function openFirewall(options: FirewallOptions = {}, deps: FirewallDeps = {}): Promise<TableFirewall> {
  const { table, owner, facts } = resolveOptions(options)
  const held = new HeldFacts()
  const difference = held.difference({ add: facts })
  const logger = deps.logger ?? silentLogger
  const netlink = deps.netlink ?? translated(() => NftablesSocket.open({ logger }))
  const release = (): void => {
    if (deps.netlink === undefined) netlink.close()
  }
  try {
    const ownedTable = new OwnedTable(netlink, table, owner)
    ownedTable.replace(difference.added)
    held.apply(difference)
    return new NftablesFirewall(ownedTable, held, logger, release)
  } catch (error) {
    release()
    throw error
  }
}

/** Facts in memory and, as elements of a table, in the kernel. Every method does its work before it returns. */
class NftablesFirewall implements TableFirewall {
  readonly #table: OwnedTable
  readonly #held: HeldFacts
  readonly #logger: Logger
  readonly #release: () => void
  #closed = false

  constructor(table: OwnedTable, held: HeldFacts, logger: Logger, release: () => void) {
    this.#table = table
    this.#held = held
    this.#logger = logger
    this.#release = release
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the contract's promise; the kernel answers at once
  async change(change: FirewallChange, call?: CallOptions): Promise<void> {
    call?.signal?.throwIfAborted()
    if (this.#closed) throw new ClosedError('firewall')
    const difference = this.#held.difference(change)
    try {
      this.#table.change(difference)
    } catch (error) {
      // Our books and the kernel differ: another program removed the table or changed its elements.
      // ENOTEMPTY: somebody's range overlaps with one of ours.
      if (!isErrno(error, 'ENOENT', 'EEXIST', 'ENOTEMPTY')) throw error
      this.#logger.warn({ error }, 'packet rules were changed by another program; putting them in place again')
      this.#table.replace(this.#held.after(difference))
    }
    this.#held.apply(difference)
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as above
  async close(): Promise<void> {
    if (this.#closed) return
    this.#table.remove()
    this.#closed = true
    this.#release()
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as above
  async detach(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
