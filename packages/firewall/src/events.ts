import type { RuleAuthor } from '@net/netlink-ffi'

/** Something that happened to the packet rules without our doing. */
export type FirewallEvent = RulesRestored | RulesLost

/** Another program changed or removed our table, and all of it is in place again. */
export interface RulesRestored {
  readonly kind: 'rules-restored'
  /** `inet net` */
  readonly table: string
  /** In words: `table deleted`. */
  readonly what: string
  readonly by?: RuleAuthor | undefined
}

/** Another program changed or removed our table, and it could not be put in place again. It is tried again. */
export interface RulesLost {
  readonly kind: 'rules-lost'
  readonly table: string
  readonly what: string
  readonly by?: RuleAuthor | undefined
  readonly error: Error
}

/** Says in the log what happened. The message is always the same for a kind: facts are in the fields. */
export const eventMessages = {
  'rules-restored': 'packet rules were changed by another program, and put in place again',
  'rules-lost': 'packet rules were changed by another program, and could not be put in place again',
} as const satisfies Record<FirewallEvent['kind'], string>
