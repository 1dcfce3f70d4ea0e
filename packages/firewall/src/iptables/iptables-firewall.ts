import type { FirewallChange, FirewallFact, FirewallReport } from '@net/driverapi'
import { ClosedError, Mutex, silentLogger, Turns, type AddressFamily, type CallOptions, type Logger } from '@net/types'
import { InvalidFactError } from '../errors.ts'
import type { CheckedFact } from '../fact.ts'
import type { TableFirewall } from '../firewall.ts'
import { HeldFacts } from '../held-facts.ts'
import { MAX_PREFIX } from './chains.ts'
import { iptablesCommands, type IptablesCommands } from './commands.ts'
import { inspectChains } from './inspect-chains.ts'
import { parseSaved, removalText, restoreText, type Present } from './restore-text.ts'
import { rulesOf } from './rules.ts'

/** What the caller chooses. */
export interface IptablesOptions {
  /** What the names of chains begin with. Chains of that name are ours. @defaultValue `NET` */
  readonly prefix?: string | undefined
  /** A chain that forwarded packets come to first: made empty, never changed and never removed. @defaultValue `NET-USER` */
  readonly userChain?: string | undefined
  /** What is true from the start. @defaultValue none */
  readonly facts?: readonly FirewallFact[] | undefined
}

/** What the wiring supplies. */
export interface IptablesDeps {
  /** @defaultValue says nothing */
  readonly logger?: Logger | undefined
  /** @defaultValue the programs of the host */
  readonly commands?: IptablesCommands | undefined
  /** How long work lets the event loop turn. @defaultValue its own */
  readonly turns?: Turns | undefined
}

const CHAIN_NAME = /^[A-Za-z][A-Za-z0-9_-]*$/
const MAX_CHAIN_NAME = 28

/**
 * Puts the chains in place, with the rules that the facts given come to: the same contract as `openFirewall`, for hosts
 * whose other rules are those of iptables. Where a host has no rules for IPv6, that family is left out.
 *
 * @throws IptablesMissingError (`ERR_IPTABLES_MISSING`), IptablesFailedError (`ERR_IPTABLES_FAILED`),
 *   FirewallNotPermittedError (`ERR_NOT_PERMITTED`), InvalidFactError (`ERR_INVALID_FACT`)
 */
export async function openIptablesFirewall(
  options: IptablesOptions = {},
  deps: IptablesDeps = {},
): Promise<TableFirewall> {
  const { prefix = 'NET', userChain = 'NET-USER', facts = [] } = options
  checkName('prefix', prefix, MAX_PREFIX)
  checkName('userChain', userChain, MAX_CHAIN_NAME)
  const { logger = silentLogger, commands = iptablesCommands, turns = new Turns() } = deps
  const held = new HeldFacts()
  const difference = held.difference({ add: facts })
  const chains = new Chains({ prefix, userChain }, { commands, turns })
  await chains.open(difference.added, logger)
  held.apply(difference)
  return new IptablesFirewall(chains, held)
}

function checkName(what: string, name: string, maxLength: number): void {
  if (CHAIN_NAME.test(name) && name.length <= maxLength) return
  throw new InvalidFactError(what, name, `a letter, then letters, digits, "_" and "-", ${maxLength} in all at most`)
}

/** The chains of both families. */
class Chains {
  readonly #prefix: string
  readonly #userChain: string
  readonly #commands: IptablesCommands
  readonly #turns: Turns
  #families: readonly AddressFamily[] = [4, 6]
  /** What the rules were made of last, in the order of the rules. */
  #made: readonly CheckedFact[] = []

  constructor(
    { prefix, userChain }: { readonly prefix: string; readonly userChain: string },
    { commands, turns }: { readonly commands: IptablesCommands; readonly turns: Turns },
  ) {
    this.#prefix = prefix
    this.#userChain = userChain
    this.#commands = commands
    this.#turns = turns
  }

  async open(facts: readonly CheckedFact[], logger: Logger): Promise<void> {
    rulesOf(facts, 4, this.#prefix)
    rulesOf(facts, 6, this.#prefix)
    try {
      await this.#commands.save(6)
    } catch (error) {
      logger.warn({ err: error }, 'this host has no packet rules for IPv6: networks have none either')
      this.#families = [4]
    }
    try {
      await this.#restoreAll(facts)
    } catch (error) {
      await this.#tryAll(() => this.remove(), error)
      throw error
    }
  }

  /** Has the rules be those of `after`; where that fails, those of `before`. */
  async replace(before: readonly CheckedFact[], after: readonly CheckedFact[]): Promise<void> {
    for (const family of this.#families) rulesOf(after, family, this.#prefix)
    try {
      await this.#restoreAll(after)
    } catch (error) {
      await this.#tryAll(() => this.#restoreAll(before), error)
      throw error
    }
  }

  async remove(): Promise<void> {
    for (const family of this.#families) {
      const present = await this.#present(family)
      await this.#commands.restore(family, removalText(rulesOf([], family, this.#prefix), this.#prefix, present))
    }
  }

  /** What the chains hold, beside what `wanted` calls for. */
  async inspect(wanted: readonly CheckedFact[]): Promise<FirewallReport> {
    const report = { elements: {}, missing: [] as string[], unexpected: [] as string[] }
    for (const family of this.#families) {
      const rules = { wanted: rulesOf(wanted, family, this.#prefix), made: rulesOf(this.#made, family, this.#prefix) }
      try {
        const saved = await this.#commands.save(family)
        const about = { family, prefix: this.#prefix, userChain: this.#userChain, turns: this.#turns }
        const { elements, missing, unexpected } = await inspectChains(about, saved, rules)
        Object.assign(report.elements, elements)
        report.missing.push(...missing)
        report.unexpected.push(...unexpected)
      } catch (error) {
        // Who describes what is wrong wants to see the rest of it too.
        report.missing.push(
          `IPv${family}, which cannot be looked at: ${error instanceof Error ? error.message : String(error)}`,
        )
      }
    }
    return { name: this.#prefix, ...report }
  }

  async #present(family: AddressFamily): Promise<Present> {
    return parseSaved(await this.#commands.save(family), this.#turns)
  }

  async #restoreAll(facts: readonly CheckedFact[]): Promise<void> {
    for (const family of this.#families) await this.#restore(family, facts)
    this.#made = facts
  }

  async #restore(family: AddressFamily, facts: readonly CheckedFact[]): Promise<void> {
    const present = await this.#present(family)
    const rules = rulesOf(facts, family, this.#prefix)
    await this.#commands.restore(family, restoreText(rules, this.#prefix, this.#userChain, present))
  }

  async #tryAll(undo: () => Promise<void>, refusal: unknown): Promise<void> {
    try {
      await undo()
    } catch (error) {
      throw new AggregateError([refusal, error], 'packet rules were changed in part')
    }
  }
}

/** Facts in memory and, as rules, in chains of iptables. One change at a time. */
class IptablesFirewall implements TableFirewall {
  readonly #chains: Chains
  readonly #held: HeldFacts
  readonly #mutex = new Mutex()
  #closed = false

  constructor(chains: Chains, held: HeldFacts) {
    this.#chains = chains
    this.#held = held
  }

  async change(change: FirewallChange, call?: CallOptions): Promise<void> {
    using _turn = await this.#mutex.lock(call)
    if (this.#closed) throw new ClosedError('firewall')
    const difference = this.#held.difference(change)
    await this.#chains.replace(this.#held.all(), this.#held.after(difference))
    this.#held.apply(difference)
  }

  async inspect(facts: readonly FirewallFact[]): Promise<FirewallReport> {
    using _turn = await this.#mutex.lock()
    if (this.#closed) throw new ClosedError('firewall')
    const wanted = new HeldFacts()
    wanted.apply(wanted.difference({ add: facts }))
    return await this.#chains.inspect(wanted.all())
  }

  async close(): Promise<void> {
    using _turn = await this.#mutex.lock()
    if (this.#closed) return
    await this.#chains.remove()
    this.#closed = true
  }

  async detach(): Promise<void> {
    using _turn = await this.#mutex.lock()
    this.#closed = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
