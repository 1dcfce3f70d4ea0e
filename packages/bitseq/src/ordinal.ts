import { type Position } from './level.ts'
import { PAGE_BITS } from './pages.ts'

const PAGE_SHIFT = 11n
const PAGE_MASK = 2047n
const SAFE = BigInt(Number.MAX_SAFE_INTEGER)
/** Below this page, ordinals are safe integers. */
const SAFE_PAGES = 2 ** 42

/** Whether `value` numbers one of `length` bits. */
export function isOrdinal(value: bigint | number, length: bigint): boolean {
  return (typeof value === 'bigint' || Number.isSafeInteger(value)) && value >= 0 && value < length
}

/** The page that the bit `ordinal` lies in. */
export function pageOf(ordinal: bigint | number): number {
  if (typeof ordinal === 'number') return Math.floor(ordinal / PAGE_BITS)
  return ordinal <= SAFE ? Math.floor(Number(ordinal) / PAGE_BITS) : Number(ordinal >> PAGE_SHIFT)
}

/** Where in its page the bit `ordinal` lies. */
export function bitOf(ordinal: bigint | number): number {
  return typeof ordinal === 'number' ? ordinal % PAGE_BITS : Number(ordinal & PAGE_MASK)
}

/** The number of the bit at `position`. */
export function ordinalAt({ page, bit }: Position): bigint {
  return page < SAFE_PAGES ? BigInt(page * PAGE_BITS + bit) : (BigInt(page) << PAGE_SHIFT) + BigInt(bit)
}

/** Whether `one` comes after `other`. */
export function isAfter(one: Position, other: Position): boolean {
  return one.page > other.page || (one.page === other.page && one.bit > other.bit)
}
