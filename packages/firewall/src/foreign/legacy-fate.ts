import type { LegacyFilter, XtablesRule, XtablesTarget } from '@net/netlink-ffi'

/** No table has more rules than fit into its size, and each is met once on the way. */
interface Way {
  readonly rules: ReadonlyMap<number, XtablesRule>
  readonly next: ReadonlyMap<number, number>
}

/** Extensions that end a packet's way. */
const BLOCKING = ['REJECT', 'DROP', 'TARPIT']

/** What becomes of forwarded packets that no rule is about in particular; the policy is the last rule of its chain. */
export function legacyFateOf({ rules, forward, policy }: LegacyFilter): 'accept' | 'drop' {
  const way: Way = {
    rules: new Map(rules.map((rule) => [rule.offset, rule])),
    next: new Map(rules.map((rule, at) => [rule.offset, rules[at + 1]?.offset ?? -1])),
  }
  return follow(way, forward, new Set()) ?? follow(way, policy, new Set()) ?? 'accept'
}

/** Follows a chain from one of its rules on; undefined where it comes back to whoever jumped here. */
function follow(way: Way, from: number, seen: Set<number>): 'accept' | 'drop' | undefined {
  for (let at: number | undefined = from; at !== undefined; at = way.next.get(at)) {
    const rule = way.rules.get(at)
    // A rule that is met again decided nothing the first time.
    if (rule === undefined || seen.has(at)) return undefined
    seen.add(at)
    if (!rule.isForAll) continue
    const verdict = verdictOf(way, rule.target, seen)
    if (verdict === 'leave') return undefined
    if (verdict !== undefined) return verdict
  }
  return undefined
}

function verdictOf(way: Way, target: XtablesTarget, seen: Set<number>): 'accept' | 'drop' | 'leave' | undefined {
  switch (target.kind) {
    case 'accept':
    case 'drop':
      return target.kind
    case 'return':
      return 'leave'
    case 'extension':
      return BLOCKING.includes(target.name) ? 'drop' : undefined
    case 'jump':
      return follow(way, target.offset, seen)
    case 'goto':
      return follow(way, target.offset, seen) ?? 'leave'
  }
}
