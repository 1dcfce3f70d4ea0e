/**
 * What a network driver is: the contract, plans as data, the registry and the compliance suite.
 *
 * @packageDocumentation
 */

export type { Firewall, FirewallChange, FirewallFact, NetworkFact, PortFact } from './firewall.ts'
