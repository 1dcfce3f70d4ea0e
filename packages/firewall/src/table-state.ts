import type { NftablesSocket, NftElement, TableReference } from '@net/netlink-ffi'
import type { PlacedElement } from './elements.ts'
import { setIn, sets, type SetName } from './sets.ts'

/** The slice of an nftables socket that a table is looked at with. */
export type TableReader = Pick<NftablesSocket, 'findTable' | 'listChains' | 'listRules' | 'listSets' | 'listElements'>

/**
 * What a table with its chains, rules and sets is known again by. The kernel gives handles out in order: nothing can be
 * taken away or put in without another text.
 */
export function fingerprintOf(netlink: TableReader, table: TableReference): string {
  const found = netlink.findTable(table)
  return [
    `table ${found?.handle ?? ''} ${found?.dormant ?? ''}`,
    ...netlink.listChains(table).map(({ name, handle, base }) => `chain ${name} ${handle} ${base?.policy ?? ''}`),
    ...netlink.listRules(table).map(({ chain, handle }) => `rule ${chain.name} ${handle}`),
    ...netlink.listSets(table).map(({ name, handle }) => `set ${name} ${handle}`),
  ].join('\n')
}

/** Whether the sets of the table hold these elements and no others. */
export function holdsElements(netlink: TableReader, table: TableReference, wanted: readonly PlacedElement[]): boolean {
  return (Object.keys(sets) as SetName[]).every((name) => {
    const expected = wanted.filter(({ set }) => set === name).map(textOf)
    // Where ranges end is an element of its own.
    const found = netlink.listElements(setIn(table, name)).filter(({ isIntervalEnd }) => !isIntervalEnd)
    return isAlike(expected, found.map(textOf))
  })
}

function textOf({ key, data }: NftElement): string {
  return JSON.stringify([key, data])
}

function isAlike(one: readonly string[], other: readonly string[]): boolean {
  const expected = new Set(one)
  return expected.size === new Set(other).size && other.every((text) => expected.has(text))
}
