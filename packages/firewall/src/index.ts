/**
 * Packet rules of networks and published ports, as one nftables table.
 *
 * @packageDocumentation
 */

export { elementsOf, type PlacedElement } from './elements.ts'
export {
  FirewallContendedError,
  FirewallNotPermittedError,
  FirewallUnsupportedError,
  ForwardingKnownError,
  InvalidFactError,
  IptablesFailedError,
  IptablesMissingError,
  NetworkKnownError,
  PortPublishedError,
  TableInUseError,
} from './errors.ts'
export type { FirewallEvent, ForeignFirewall, RulesChanged, RulesLost, RulesRestored } from './events.ts'
export { FactBook } from './fact-book.ts'
export { openFirewall, removeFirewall, type FirewallDeps, type TableFirewall } from './firewall.ts'
export type { ForeignAnswer } from './foreign/foreign-firewalls.ts'
export type { IptablesCommands } from './iptables/commands.ts'
export { openIptablesFirewall, type IptablesDeps, type IptablesOptions } from './iptables/iptables-firewall.ts'
export type { FirewallOptions } from './options.ts'
export type { FirewallNetlink } from './owned-table.ts'
export type { GuardAnswer } from './table-guard.ts'
