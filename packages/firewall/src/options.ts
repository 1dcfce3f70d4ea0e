import type { FirewallFact } from '@net/driverapi'
import type { TableReference } from '@net/netlink-ffi'
import { InvalidFactError } from './errors.ts'
import type { ForeignAnswer } from './foreign/foreign-firewalls.ts'
import type { GuardAnswer } from './table-guard.ts'

/** What the caller chooses. */
export interface FirewallOptions {
  /** Name of the table, of family inet. @defaultValue `net` */
  readonly table?: string | undefined
  /**
   * Whose table it is. It is written into the table, and only a table with the very same owner is
   * ever replaced or removed. @defaultValue `@net/firewall`
   */
  readonly owner?: string | undefined
  /** What is true from the start: takes the place of what an earlier opening left, in one batch. @defaultValue none */
  readonly facts?: readonly FirewallFact[] | undefined
  /**
   * What to do about a firewall of another program that drops whatever it does not know: tell of it, or put two rules
   * into its chain that let packets of networks pass. @defaultValue `warn`
   */
  readonly foreignFirewall?: ForeignAnswer | undefined
  /** What to do when another program changes the table: tell of it, or put it in place again as well. @defaultValue `repair` */
  readonly drift?: GuardAnswer | undefined
}

/** The options, checked, nothing left open. */
export interface ResolvedOptions {
  readonly table: TableReference
  readonly owner: string
  readonly facts: readonly FirewallFact[]
  readonly foreignFirewall: ForeignAnswer
  readonly drift: GuardAnswer
}

/** What `nft` can name, within linux/netfilter/nf_tables.h: NFT_NAME_MAXLEN. */
const TABLE_NAME = /^[A-Za-z][A-Za-z0-9_]{0,127}$/
/** The kernel keeps 256 bytes with a table. */
const MAX_OWNER_BYTES = 200

/** @throws InvalidFactError (`ERR_INVALID_FACT`) */
export function resolveOptions(options: FirewallOptions): ResolvedOptions {
  const { table = 'net', owner = '@net/firewall', facts = [], foreignFirewall = 'warn', drift = 'repair' } = options
  if (!TABLE_NAME.test(table)) {
    throw new InvalidFactError('table', table, 'a letter, then up to 127 letters, digits and underscores')
  }
  const ownerBytes = new TextEncoder().encode(owner).length
  if (ownerBytes < 1 || ownerBytes > MAX_OWNER_BYTES || owner.includes('\0')) {
    throw new InvalidFactError('owner', owner, `1 to ${MAX_OWNER_BYTES} bytes of text`)
  }
  if (!['warn', 'insert'].includes(foreignFirewall)) {
    throw new InvalidFactError('foreignFirewall', foreignFirewall, 'warn or insert')
  }
  if (!['off', 'report', 'repair'].includes(drift)) {
    throw new InvalidFactError('drift', drift, 'off, report or repair')
  }
  return { table: { family: 'inet', name: table }, owner, facts, foreignFirewall, drift }
}
