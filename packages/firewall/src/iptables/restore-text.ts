import type { Turns } from '@net/types'
import { jumpsOf, type Jump } from './chains.ts'
import type { RuleSet, TableName } from './rules.ts'

const TABLES: readonly TableName[] = ['raw', 'nat', 'filter']

/** What is there already, as `iptables-save` lists it. */
export interface Present {
  /** Lines of a table, such as `-A FORWARD -j DOCKER`. */
  readonly lines: Readonly<Record<TableName, readonly string[]>>
}

/** A host may have a hundred thousand rules of others. */
const LINES_PER_TURN = 1_000

/** Reads what `iptables-save` says, and lets the event loop turn meanwhile. */
export async function parseSaved(text: string, turns: Turns): Promise<Present> {
  const lines: Record<TableName, string[]> = { raw: [], nat: [], filter: [] }
  let table: string[] | undefined
  let count = 0
  for (let start = 0; start < text.length; count++) {
    if (count % LINES_PER_TURN === 0) await turns.take()
    const end = text.indexOf('\n', start)
    const line = end < 0 ? text.slice(start) : text.slice(start, end)
    start += line.length + 1
    const name = line.slice(1) as TableName
    if (line.startsWith('*')) table = TABLES.includes(name) ? lines[name] : undefined
    else table?.push(line)
  }
  return { lines }
}

/**
 * What `iptables-restore --noflush` is told so that our chains hold `rules` and nothing else. Our jumps stand first in
 * theirs, save that of FORWARD, which the users' chain comes before.
 */
export function restoreText(rules: RuleSet, prefix: string, userChain: string, present: Present): string {
  return tables((table) => [
    // A chain that is named here is made, or emptied where it is there.
    ...[...rules[table].keys()].map((chain) => `:${chain} - [0:0]`),
    ...(table === 'filter' && !hasChain(present, userChain) ? [`:${userChain} - [0:0]`] : []),
    ...[...rules[table]].flatMap(([chain, lines]) => lines.map((line) => `-A ${chain} ${line}`)),
    ...missingJumps(table, prefix, userChain, present),
  ])
}

/** What takes all of it away again, save the users' chain. */
export function removalText(rules: RuleSet, prefix: string, present: Present): string {
  return tables((table) => {
    const chains = [...rules[table].keys()]
    const jumps = jumpsOf(prefix).filter((jump) => jump.table === table && isThere(jump, present))
    return [
      ...chains.map((chain) => `:${chain} - [0:0]`),
      ...jumps.map(({ from, to }) => `-D ${from} -j ${to}`),
      ...chains.map((chain) => `-X ${chain}`),
    ]
  })
}

function missingJumps(table: TableName, prefix: string, userChain: string, present: Present): string[] {
  const jumps = jumpsOf(prefix).filter((jump) => jump.table === table)
  if (table !== 'filter')
    return jumps.filter((jump) => !isThere(jump, present)).map(({ from, to }) => `-I ${from} 1 -j ${to}`)
  // The users' chain first, then ours, beside those of other controllers: all are put anew where that is not so.
  const users: Jump = { table, from: 'FORWARD', to: userChain }
  const wanted = [users, ...jumps]
  if (standFirst(wanted.map(lineOf), present)) return []
  return [
    ...wanted.filter((jump) => isThere(jump, present)).map(({ from, to }) => `-D ${from} -j ${to}`),
    ...wanted.map(({ from, to }, at) => `-I ${from} ${at + 1} -j ${to}`),
  ]
}

/** Whether these lines stand first in FORWARD, with nothing but jumps of firewalls like this one between them. */
export function standFirst([users, ...ours]: readonly string[], { lines }: Present): boolean {
  const [first, ...others] = lines.filter.filter((line) => line.startsWith('-A FORWARD '))
  const end = others.findIndex((line) => !/^-A FORWARD -j \S+-FWD$/.test(line))
  const leading = end < 0 ? others : others.slice(0, end)
  return first === users && ours.every((line) => leading.includes(line))
}

function isThere(jump: Jump, { lines }: Present): boolean {
  return lines[jump.table].includes(lineOf(jump))
}

function lineOf({ from, to }: Jump): string {
  return `-A ${from} -j ${to}`
}

function hasChain({ lines }: Present, chain: string): boolean {
  return lines.filter.some((line) => line.startsWith(`:${chain} `))
}

function tables(linesOf: (table: TableName) => readonly string[]): string {
  return TABLES.map((table) => [`*${table}`, ...linesOf(table), 'COMMIT', ''].join('\n')).join('')
}
