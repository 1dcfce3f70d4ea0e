import { isErrno, readLegacyFilter, type NftablesSocket, type RuleEvent, type TableReference } from '@net/netlink-ffi'
import { Backoff, type AddressFamily, type Logger } from '@net/types'
import type { FirewallEvent, ForeignFirewall } from '../events.ts'
import { insertMessages, markOf, removeMessages } from './accept-rules.ts'
import { commandsFor, legacyCommandsFor } from './advice.ts'
import { foreignChains, type ForeignChain, type ForeignReader } from './blocking-chain.ts'
import { legacyFateOf } from './legacy-fate.ts'

/** What is done about a firewall of another program that drops packets of networks. */
export type ForeignAnswer = 'warn' | 'insert'

/** Whoever reloads his rules all the time is looked at less and less often. */
const WAITS = { firstMs: 100, maxMs: 5_000, quietMs: 10_000 } as const
/** Other programs may change rules between our look and our batch; so often is it tried anew. */
const ATTEMPTS = 10

interface Finding {
  readonly event: ForeignFirewall
  /** Rules of ours were put into it just now. */
  readonly isChanged: boolean
}

/** What the wiring supplies. */
export interface ForeignDeps {
  readonly netlink: ForeignReader & Pick<NftablesSocket, 'commit' | 'generation'>
  /** Our own table, which is none of another program's. */
  readonly table: TableReference
  readonly owner: string
  readonly answer: ForeignAnswer
  readonly tell: (event: FirewallEvent) => void
  readonly logger: Logger
}

/**
 * Firewalls of other programs. An accept in our table does not undo a drop in theirs, so those that drop whatever they
 * do not know are named and, where that is wanted, told to let packets of networks pass.
 */
export class ForeignFirewalls {
  readonly #deps: ForeignDeps
  readonly #mark: string
  readonly #backoff = new Backoff(WAITS)
  /** What was told of each, by its name. */
  #told = new Map<string, string>()
  #timer: NodeJS.Timeout | undefined

  constructor(deps: ForeignDeps) {
    this.#deps = deps
    this.#mark = markOf(deps.owner)
  }

  /** Looks for them, does what is to be done and tells what is new. What cannot be read is told in the log. */
  look(): void {
    try {
      const found = [...this.#lookAtChains(), ...this.#lookAtLegacy()]
      for (const { event, isChanged } of found) {
        if (isChanged || this.#told.get(event.chain) !== event.answer) this.#deps.tell(event)
      }
      this.#told = new Map(found.map(({ event }) => [event.chain, event.answer]))
    } catch (error) {
      this.#deps.logger.warn({ err: error }, 'could not look for firewalls of other programs')
    }
  }

  /** Looks again, soon, when something has changed that may be one. */
  notice(event: RuleEvent): void {
    if (event.kind === 'commit' && !event.changes.some((change) => this.#matters(change))) return
    if (this.#timer !== undefined) return
    const waitMs = this.#backoff.next(performance.now())
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.look()
    }, waitMs)
    this.#timer.unref()
  }

  /** Looks no more. Safe to call twice. */
  close(): void {
    clearTimeout(this.#timer)
  }

  /** Takes our rules out of chains of others. */
  remove(): void {
    this.#whileUnchanged((chains) => chains.flatMap((chain) => removeMessages(chain, this.#mark)))
  }

  #matters({ subject, table }: Extract<RuleEvent, { kind: 'commit' }>['changes'][number]): boolean {
    const { family, name } = this.#deps.table
    const isOurs = table.family === family && table.name === name
    return !isOurs && subject !== 'set' && subject !== 'element'
  }

  #lookAtChains(): Finding[] {
    if (this.#deps.answer === 'warn') return this.#blocking().map((chain) => found(chain, 'none'))
    try {
      const answered = new Map<string, boolean>()
      const chains = this.#whileUnchanged((all) =>
        all.flatMap((chain) => {
          const messages = this.#messagesFor(chain)
          answered.set(chain.name, messages.length > 0)
          return messages
        }),
      )
      return chains
        .filter(isBlocking)
        .map((chain) => ({ ...found(chain, 'accepted'), isChanged: answered.get(chain.name) === true }))
    } catch {
      // One that refuses (its table is locked to its owner, say) must not keep the others from being answered.
      return this.#blocking().map((chain) => this.#answerAlone(chain))
    }
  }

  #answerAlone(chain: ForeignChain): Finding {
    try {
      const messages = this.#messagesFor(chain)
      this.#deps.netlink.commit(messages)
      return { ...found(chain, 'accepted'), isChanged: messages.length > 0 }
    } catch (error) {
      const { event } = found(chain, 'refused')
      return { event: { ...event, error: error as Error }, isChanged: false }
    }
  }

  #messagesFor(chain: ForeignChain): ReturnType<typeof insertMessages> {
    return chain.isBlocking ? insertMessages(chain, this.#mark) : removeMessages(chain, this.#mark)
  }

  #lookAtLegacy(): Finding[] {
    return ([4, 6] as const).flatMap((family) => {
      const filter = readLegacyFilter(family)
      return filter === undefined || legacyFateOf(filter) === 'accept' ? [] : [foundLegacy(family)]
    })
  }

  #blocking(): ForeignChain[] {
    return this.#chains().filter(isBlocking)
  }

  #chains(): ForeignChain[] {
    return foreignChains(this.#deps.netlink, this.#deps.table)
  }

  /** Looks at chains of others and commits what follows from it, unless the rules changed in between. */
  #whileUnchanged(messagesFor: (chains: readonly ForeignChain[]) => ReturnType<typeof insertMessages>): ForeignChain[] {
    const { netlink } = this.#deps
    for (let attempt = 1; ; attempt++) {
      const generation = netlink.generation()
      const chains = this.#chains()
      try {
        netlink.commit(messagesFor(chains), { generation })
        return chains
      } catch (error) {
        if (!isErrno(error, 'ERESTART') || attempt === ATTEMPTS) throw error
      }
    }
  }
}

function isBlocking(chain: ForeignChain): boolean {
  return chain.isBlocking
}

function found(foreign: ForeignChain, answer: ForeignFirewall['answer']): Finding {
  const event: ForeignFirewall = {
    kind: 'foreign-firewall',
    chain: foreign.name,
    drops: foreign.decidedBy === undefined ? 'by its policy' : 'by a rule',
    answer,
    commands: answer === 'accepted' ? [] : commandsFor(foreign),
  }
  return { event, isChanged: false }
}

function foundLegacy(family: AddressFamily): Finding {
  const event: ForeignFirewall = {
    kind: 'foreign-firewall',
    chain: `legacy ${family === 4 ? 'ip' : 'ip6'} filter FORWARD`,
    drops: 'by a rule or its policy',
    // A table of the old xtables is replaced as a whole, under a lock that its own programs hold.
    answer: 'none',
    commands: legacyCommandsFor(family),
  }
  return { event, isChanged: false }
}
