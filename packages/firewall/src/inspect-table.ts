import type { FirewallReport } from '@net/driverapi'
import { isErrno, type NftElement, type TableReference } from '@net/netlink-ffi'
import type { Turns } from '@net/types'
import type { PlacedElement } from './elements.ts'
import { setIn, sets, type SetName } from './sets.ts'
import type { TableReader } from './table-state.ts'

/** What is looked at, and what with. */
export interface TableInspection {
  readonly netlink: TableReader
  readonly table: TableReference
  readonly turns: Turns
}

/** What the sets of a table hold, beside what they are to hold. A table that is gone holds nothing. */
export async function inspectTable(
  { netlink, table, turns }: TableInspection,
  wanted: readonly PlacedElement[],
): Promise<FirewallReport> {
  const elements: Record<string, readonly string[]> = {}
  const missing: string[] = []
  const unexpected: string[] = []
  for (const name of Object.keys(sets) as SetName[]) {
    await turns.take()
    const there = elementsThere(netlink, table, name)
    const expected = wanted.filter(({ set }) => set === name).map(formatElement)
    if (there.length > 0) elements[name] = there
    missing.push(...without(expected, there).map((text) => `${name} ${text}`))
    unexpected.push(...without(there, expected).map((text) => `${name} ${text}`))
  }
  return { name: `${table.family} ${table.name}`, elements, missing, unexpected }
}

function elementsThere(netlink: TableReader, table: TableReference, name: SetName): string[] {
  try {
    // Where ranges end is an element of its own.
    const found = netlink.listElements(setIn(table, name)).filter(({ isIntervalEnd }) => !isIntervalEnd)
    return found.map(formatElement).sort()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

/** As `nft` has it: `6 . 8080 : 172.17.0.2 . 80`. */
function formatElement({ key, data }: NftElement): string {
  if (data === undefined) return key.join(' . ')
  return `${key.join(' . ')} : ${typeof data === 'string' ? data : data.join(' . ')}`
}

function without(texts: readonly string[], others: readonly string[]): string[] {
  const known = new Set(others)
  return texts.filter((text) => !known.has(text))
}
