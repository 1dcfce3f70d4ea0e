import { viewOf } from '../attributes.ts'
import { MalformedMessageError } from '../errors.ts'
import { littleEndian } from '../writer.ts'

/** What a rule of xtables does with packets that it is about. */
export type XtablesTarget =
  | { readonly kind: 'accept' | 'drop' | 'return' }
  /** Goes on with the rule at that offset; `goto` does not come back. */
  | { readonly kind: 'jump' | 'goto'; readonly offset: number }
  /** An extension: REJECT, LOG. `ERROR` marks where chains begin. */
  | { readonly kind: 'extension'; readonly name: string }

/** A rule, by the offset that jumps name it with. */
export interface XtablesRule {
  readonly offset: number
  /** It is about every packet. */
  readonly isForAll: boolean
  readonly target: XtablesTarget
}

/** How the rules of a family are laid out: struct ipt_entry, struct ip6t_entry. */
export interface EntryLayout {
  /** What a packet is compared with, up to its flags. */
  readonly flagsOffset: number
  readonly addressBytes: number
  readonly gotoFlag: number
  /** The next two bytes are target_offset, the two after them next_offset. */
  readonly targetOffset: number
  readonly entryBytes: number
}

/** linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h */
export const entryLayouts = {
  4: { flagsOffset: 82, addressBytes: 84, gotoFlag: 0x02, targetOffset: 88, entryBytes: 112 },
  6: { flagsOffset: 131, addressBytes: 136, gotoFlag: 0x04, targetOffset: 140, entryBytes: 168 },
} as const satisfies Record<4 | 6, EntryLayout>

// linux/netfilter/x_tables.h: struct xt_entry_match, struct xt_entry_target: size, name, revision
const NAME_OFFSET = 2
const NAME_BYTES = 29
const EXTENSION_HEADER = 32
/** struct xt_standard_target: the verdict after the header. */
const STANDARD_BYTES = EXTENSION_HEADER + 4
// -NF_DROP - 1, -NF_ACCEPT - 1, XT_RETURN
const verdicts = new Map<number, 'drop' | 'accept' | 'return'>([
  [-1, 'drop'],
  [-2, 'accept'],
  [-5, 'return'],
])
/** Matches that every packet passes. */
const NEUTRAL = ['comment']

/** Reads a table's rules. @throws MalformedMessageError (`ERR_MALFORMED_MESSAGE`) */
export function decodeEntries(bytes: Uint8Array, layout: EntryLayout): XtablesRule[] {
  const view = viewOf(bytes)
  const rules: XtablesRule[] = []
  for (let offset = 0; offset < bytes.length;) {
    if (offset + layout.entryBytes > bytes.length) throw new MalformedMessageError('rule cut short', offset)
    const targetAt = view.getUint16(offset + layout.targetOffset, littleEndian)
    const length = view.getUint16(offset + layout.targetOffset + 2, littleEndian)
    const isSound = targetAt >= layout.entryBytes && targetAt + EXTENSION_HEADER <= length
    if (!isSound || offset + length > bytes.length) throw new MalformedMessageError(`rule of ${length} bytes`, offset)
    const entry = bytes.subarray(offset, offset + length)
    rules.push({ offset, isForAll: isForAll(entry, targetAt, layout), target: decodeTarget(entry, targetAt, layout) })
    offset += length
  }
  return rules
}

function decodeTarget(entry: Uint8Array, at: number, { flagsOffset, gotoFlag }: EntryLayout): XtablesTarget {
  const name = nameAt(entry, at)
  if (name !== '') return { kind: 'extension', name }
  if (at + STANDARD_BYTES > entry.length) throw new MalformedMessageError('verdict cut short', at)
  const verdict = viewOf(entry).getInt32(at + EXTENSION_HEADER, littleEndian)
  const kind = verdicts.get(verdict)
  if (kind !== undefined) return { kind }
  // Queues and the like take packets out of the rules.
  if (verdict < 0) return { kind: 'accept' }
  return { kind: ((entry[flagsOffset] ?? 0) & gotoFlag) === 0 ? 'jump' : 'goto', offset: verdict }
}

function isForAll(entry: Uint8Array, targetAt: number, layout: EntryLayout): boolean {
  const { addressBytes, flagsOffset, entryBytes } = layout
  for (let at = 0; at < addressBytes; at++) if (at !== flagsOffset && entry[at] !== 0) return false
  for (let at = entryBytes; at < targetAt;) {
    const length = at + EXTENSION_HEADER <= targetAt ? viewOf(entry).getUint16(at, littleEndian) : 0
    if (length < EXTENSION_HEADER) throw new MalformedMessageError(`match of ${length} bytes`, at)
    if (!NEUTRAL.includes(nameAt(entry, at))) return false
    at += length
  }
  return true
}

function nameAt(entry: Uint8Array, at: number): string {
  const name = entry.subarray(at + NAME_OFFSET, at + NAME_OFFSET + NAME_BYTES)
  const end = name.indexOf(0)
  return new TextDecoder().decode(end < 0 ? name : name.subarray(0, end))
}
