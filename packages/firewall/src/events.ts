import type { RuleAuthor } from '@net/netlink-ffi'

/** Something that happened to the packet rules without our doing. */
export type FirewallEvent = RulesRestored | RulesChanged | RulesLost | ForeignFirewall

/** Another program changed or removed our table, and all of it is in place again. */
export interface RulesRestored {
  readonly kind: 'rules-restored'
  /** `inet net` */
  readonly table: string
  /** In words: `table deleted`. */
  readonly what: string
  readonly by?: RuleAuthor | undefined
}

/** Another program changed or removed our table, and that is only told of. */
export interface RulesChanged {
  readonly kind: 'rules-changed'
  readonly table: string
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

/** The rules of another program drop packets of networks, whatever our own rules say. Told when its answer is another. */
export interface ForeignFirewall {
  readonly kind: 'foreign-firewall'
  /** `ip filter FORWARD`; `legacy ip filter FORWARD` for what `iptables-legacy` shows. */
  readonly chain: string
  readonly drops: 'by its policy' | 'by a rule' | 'by a rule or its policy'
  /** Whether packets of networks pass it: by rules of ours (`accepted`), not (`none`), or not though it was tried. */
  readonly answer: 'none' | 'accepted' | 'refused'
  /** What lets them pass, for an administrator to run. */
  readonly commands: readonly string[]
  /** Why it was refused. */
  readonly error?: Error | undefined
}

/** Says in the log what happened. The message is always the same for a kind: facts are in the fields. */
export const eventMessages = {
  'rules-restored': 'packet rules were changed by another program, and put in place again',
  'rules-changed': 'packet rules were changed by another program',
  'rules-lost': 'packet rules were changed by another program, and could not be put in place again',
  'foreign-firewall': 'the firewall of another program drops packets that its rules do not name',
} as const satisfies Record<FirewallEvent['kind'], string>
