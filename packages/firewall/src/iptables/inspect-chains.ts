import type { FirewallReport } from '@net/driverapi'
import type { AddressFamily, Turns } from '@net/types'
import { jumpsOf } from './chains.ts'
import { parseSaved, standFirst, type Present } from './restore-text.ts'
import { ruleKey } from './rule-key.ts'
import type { RuleSet, TableName } from './rules.ts'

/** Whose chains are looked at. */
export interface ChainInspection {
  readonly family: AddressFamily
  readonly prefix: string
  readonly userChain: string
  readonly turns: Turns
}

/** The rules that facts call for, and those that were made last, whose order is the one that counts. */
export interface WantedRules {
  readonly wanted: RuleSet
  readonly made: RuleSet
}

/** What the chains of a family hold, beside what they are to hold. */
export async function inspectChains(
  { family, prefix, userChain, turns }: ChainInspection,
  saved: string,
  { wanted, made }: WantedRules,
): Promise<Omit<FirewallReport, 'name'>> {
  const present = await parseSaved(saved, turns)
  const reports: ChainReport[] = []
  for (const table of Object.keys(wanted) as TableName[]) {
    const chains = await chainsOf(present.lines[table], turns)
    for (const [chain, rules] of wanted[table]) {
      const expected = { rules, made: made[table].get(chain) ?? [] }
      reports.push(await inspectChain(`${table} ${chain}`, chains.get(chain), expected, turns))
    }
  }
  const named = (text: string): string => `IPv${family} ${text}`
  return {
    elements: Object.fromEntries(
      reports.filter(({ rules }) => rules.length > 0).map(({ about, rules }) => [named(about), rules]),
    ),
    missing: [...missingJumps(prefix, userChain, present), ...reports.flatMap(({ missing }) => missing)].map(named),
    unexpected: reports.flatMap(({ unexpected }) => unexpected).map(named),
  }
}

interface ChainReport {
  readonly about: string
  /** What is there. */
  readonly rules: readonly string[]
  readonly missing: readonly string[]
  readonly unexpected: readonly string[]
}

/** Compares the rules of a chain; there are none where there is no such chain. */
async function inspectChain(
  about: string,
  rules: readonly string[] | undefined,
  expected: { readonly rules: readonly string[]; readonly made: readonly string[] },
  turns: Turns,
): Promise<ChainReport> {
  const there = await keyed(rules ?? [], turns)
  const { missing, unexpected } = compare(await keyed(expected.rules, turns), there)
  const isOutOfOrder = isReordered(await keyed(expected.made, turns), there)
  return {
    ...{ about, rules: rules ?? [] },
    missing: [
      ...(rules === undefined ? [about] : []),
      ...missing.map((rule) => `${about} ${rule}`),
      ...(isOutOfOrder ? [`${about} in its order`] : []),
    ],
    unexpected: unexpected.map((rule) => `${about} ${rule}`),
  }
}

/** So many rules are dealt with in a turn of the event loop. */
const RULES_PER_TURN = 500

/** The rules of each chain that is there. */
async function chainsOf(lines: readonly string[], turns: Turns): Promise<Map<string, string[]>> {
  const chains = new Map<string, string[]>()
  for (const [at, line] of lines.entries()) {
    if (at % RULES_PER_TURN === 0) await turns.take()
    const [, kind, chain = '', rule = ''] = /^(:|-A )(\S+) ?(.*)$/.exec(line) ?? []
    if (kind === ':') chains.set(chain, [])
    else if (kind !== undefined) chains.get(chain)?.push(rule)
  }
  return chains
}

/** A rule, and what it is known again by. */
interface KeyedRule {
  readonly rule: string
  readonly key: string
}

async function keyed(rules: readonly string[], turns: Turns): Promise<KeyedRule[]> {
  const found: KeyedRule[] = []
  for (const [at, rule] of rules.entries()) {
    if (at % RULES_PER_TURN === 0) await turns.take()
    found.push({ rule, key: ruleKey(rule) })
  }
  return found
}

function missingJumps(prefix: string, userChain: string, present: Present): string[] {
  const jumps = jumpsOf(prefix)
  const missing = jumps
    .filter(({ table, from, to }) => !present.lines[table].includes(`-A ${from} -j ${to}`))
    .map(({ table, from, to }) => `${table} ${from} -j ${to}`)
  if (missing.some((jump) => jump.startsWith('filter '))) return missing
  const forward = jumps.filter(({ table }) => table === 'filter')
  const wanted = [{ from: 'FORWARD', to: userChain }, ...forward].map(({ from, to }) => `-A ${from} -j ${to}`)
  return standFirst(wanted, present)
    ? missing
    : [...missing, `filter FORWARD -j ${userChain} and then ours, first of all`]
}

/** A rule that is there twice and wanted once is one too many. */
function compare(
  wanted: readonly KeyedRule[],
  there: readonly KeyedRule[],
): { readonly missing: string[]; readonly unexpected: string[] } {
  const counts = new Map<string, number>()
  for (const { key } of there) counts.set(key, (counts.get(key) ?? 0) + 1)
  const take = ({ key }: KeyedRule): boolean => {
    const count = counts.get(key) ?? 0
    if (count > 0) counts.set(key, count - 1)
    return count > 0
  }
  const missing = wanted.filter((rule) => !take(rule))
  const unexpected = there.filter(take)
  return { missing: missing.map(({ rule }) => rule), unexpected: unexpected.map(({ rule }) => rule) }
}

/** Whether the rules that were made are there and no others, but not as they were made: the first that fits decides. */
function isReordered(made: readonly KeyedRule[], there: readonly KeyedRule[]): boolean {
  const [one, other] = [made.map(({ key }) => key), there.map(({ key }) => key)]
  if (one.length !== other.length || one.every((key, at) => key === other[at])) return false
  return one.toSorted().join('\n') === other.toSorted().join('\n')
}
