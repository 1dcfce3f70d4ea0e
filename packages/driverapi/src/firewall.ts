import type { AddressFamily, CallOptions, Protocol } from '@net/types'

/** What the packet rules have to know of a network. */
export interface NetworkFact {
  readonly kind: 'network'
  /** Name of the bridge interface: the key of every lookup. */
  readonly bridge: string
  /** Nothing passes between it and the outside. */
  readonly internal: boolean
  /** Whether its containers may speak with each other. */
  readonly interContainer: boolean
  /** Families whose packets leave with the host's address as their source. */
  readonly masquerade: readonly AddressFamily[]
  /** In the families named: that address of the host. @defaultValue that of the interface they leave by */
  readonly sources?: PerFamily<string> | undefined
  /** What is let in from outside. @defaultValue `published` */
  readonly inbound?: PerFamily<Inbound> | undefined
  /** Interfaces of the host from where open ports are reached at their containers' own addresses. @defaultValue none */
  readonly trusted?: readonly string[] | undefined
  /** Its prefixes, for rules that cannot ask which interface a packet came in by. @defaultValue not known */
  readonly prefixes?: PerFamily<string> | undefined
}

/** Something that each family may have. */
export interface PerFamily<T> {
  readonly ipv4?: T | undefined
  readonly ipv6?: T | undefined
}

/**
 * What is let into a network from outside: connections through published ports (`published`); besides, open ports
 * and ICMP at the containers' own addresses (`routed`); or everything (`all`), though not from other networks.
 */
export type Inbound = 'published' | 'routed' | 'all'

/** A published port, or several in a row: packets to the host's port go to the container's, in the same order. */
export interface PortFact {
  readonly kind: 'port'
  readonly protocol: Protocol
  /** The host's address; absent: every address of the container address' family. */
  readonly hostAddress?: string | undefined
  readonly hostPort: number
  readonly containerAddress: string
  readonly containerPort: number
  /** How many ports in a row, from these on. @defaultValue 1 */
  readonly count?: number | undefined
}

/**
 * A port of a container, or several in a row, reached at the container's own address, where its network lets that in.
 * It may be stated more than once, as a port that is published twice is: it is true until all have been removed.
 */
export interface OpenPortFact {
  readonly kind: 'open-port'
  readonly protocol: Protocol
  readonly address: string
  readonly port: number
  /** How many ports in a row, from this one on. @defaultValue 1 */
  readonly count?: number | undefined
}

/**
 * A container reaches a port of another, on a network whose containers may not speak with each other. It may be stated
 * more than once, by either of the two: it is true until all have been removed.
 */
export interface LinkFact {
  readonly kind: 'link'
  readonly protocol: Protocol
  /** Address of the container that asks. */
  readonly from: string
  /** Address of the one that answers, of the same family. */
  readonly to: string
  readonly port: number
}

/**
 * The host forwards packets of this family only because networks need it: it is to forward none between
 * interfaces that are no network's.
 */
export interface ForwardingFact {
  readonly kind: 'forwarding'
  readonly family: AddressFamily
}

/** One thing that the packet rules have to know. Facts are plain JSON. */
export type FirewallFact = NetworkFact | PortFact | OpenPortFact | LinkFact | ForwardingFact

/** What becomes true and what no longer is. */
export interface FirewallChange {
  readonly add?: readonly FirewallFact[]
  readonly remove?: readonly FirewallFact[]
}

/** What the kernel has of packet rules, beside what facts call for. Plain JSON, in words for people. */
export interface FirewallReport {
  /** The table, or what the names of the chains begin with. */
  readonly name: string
  /** What is there, by the sets it is in. */
  readonly elements: Readonly<Record<string, readonly string[]>>
  /** What facts call for and is not there. */
  readonly missing: readonly string[]
  /** What is there and no fact calls for. */
  readonly unexpected: readonly string[]
}

/** Keeps the packet rules that facts call for. */
export interface Firewall {
  /**
   * Carries out all of the change, or none of it. Removing a fact that is not there is no error;
   * adding one that is there is, save for open ports and links.
   */
  change(change: FirewallChange, call?: CallOptions): Promise<void>
  /** Compares what is there with what `facts` call for, and changes nothing. Absent: it cannot look. */
  inspect?(facts: readonly FirewallFact[]): Promise<FirewallReport>
  /** Removes every rule. Safe to call twice. */
  close(): Promise<void>
}
