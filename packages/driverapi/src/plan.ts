import type { AddressFamily } from '@net/types'
import type { FirewallFact } from './firewall.ts'
import type { PublishedPort } from './records.ts'

/** A kernel setting below `/proc/sys`. */
export interface Sysctl {
  /** `net/ipv4/ip_forward` */
  readonly path: string
  readonly value: string
  /** Passed over where the kernel does not have it, such as those of IPv6. */
  readonly optional?: boolean | undefined
}

/** A bridge on the host. */
export interface BridgeLink {
  readonly kind: 'bridge'
  readonly name: string
  readonly macAddress: string
  readonly mtu?: number | undefined
  /** With prefix length. */
  readonly addresses: readonly string[]
}

/** A bridge of somebody else's that a network uses. It is left as it is but for what is named here, and stays. */
export interface ExistingBridge {
  readonly kind: 'existing-bridge'
  readonly name: string
  /** Those that it is given as long as the network is there, with prefix length. */
  readonly addresses: readonly string[]
}

/** What a network wants on the host. Plain JSON, carried out in the order of its members. */
export interface NetworkPlan {
  readonly links: readonly (BridgeLink | ExistingBridge)[]
  /** Families whose packets the host has to forward. @defaultValue none */
  readonly forwarding?: readonly AddressFamily[] | undefined
  readonly sysctls: readonly Sysctl[]
  /** Settings to go back to when the network is deleted, of what outlives it. @defaultValue none */
  readonly restore?: readonly Sysctl[] | undefined
  readonly firewall: readonly FirewallFact[]
}

/** A route that a sandbox gets. */
export interface PlannedRoute {
  readonly destination: string
  /** Absent: the destination is on the link. */
  readonly gateway?: string | undefined
}

/** A permanent neighbour entry that a sandbox gets. */
export interface PlannedNeighbour {
  readonly address: string
  readonly macAddress: string
}

/** A veth whose far end is born in the sandbox. */
export interface VethLink {
  readonly kind: 'veth'
  /** Name of its end on the host. */
  readonly hostName: string
  /** The bridge that this end is a port of. */
  readonly master: string
  /** May not speak with other isolated ports of the bridge, save through the host. @defaultValue false */
  readonly isolated?: boolean | undefined
  /**
   * Isolated by the packet rules, which its frames pass whatever the host has set: links make exceptions there.
   * @defaultValue by the rules where the host's frames pass them, else by the bridge
   */
  readonly filtered?: boolean | undefined
  /** May be sent frames that came from it, as a container that asks a port it publishes is. @defaultValue false */
  readonly hairpin?: boolean | undefined
  /** The group of interfaces that its end on the host is in. @defaultValue 0 */
  readonly group?: number | undefined
}

/** An interface of a sandbox. */
export interface SandboxLink {
  readonly create: VethLink
  /** Name in the sandbox. */
  readonly name: string
  readonly macAddress: string
  readonly mtu?: number | undefined
  /** With prefix length. */
  readonly addresses: readonly string[]
  /**
   * Its link-local IPv6 address, with prefix length: nobody else has it, so that the kernel need not ask all of the
   * network (RFC 4862, section 5.4). @defaultValue one that the kernel makes, and asks about
   */
  readonly linkLocalAddress?: string | undefined
  readonly routes: readonly PlannedRoute[]
  readonly neighbours: readonly PlannedNeighbour[]
  /** Written before the interface goes up. */
  readonly sysctls: readonly Sysctl[]
  /** Neighbours may remember another MAC address of its addresses: they are told of this one. @defaultValue false */
  readonly announce?: boolean | undefined
}

/**
 * An interface of a sandbox that is a link of the host which somebody else made, a plugin for one. It is moved into the
 * sandbox, and back to the host under its old name when the endpoint leaves: what becomes of it is its maker's business.
 */
export interface ExistingLink {
  /** Its name on the host. */
  readonly hostName: string
  /** Name in the sandbox. */
  readonly name: string
  /** @defaultValue the one that it has */
  readonly macAddress?: string | undefined
  /** With prefix length. */
  readonly addresses: readonly string[]
  readonly routes: readonly PlannedRoute[]
  /** Written before the interface goes up. */
  readonly sysctls: readonly Sysctl[]
}

/** What an endpoint wants when it joins a sandbox. Plain JSON. */
export interface JoinPlan {
  readonly sandbox: {
    readonly links: readonly SandboxLink[]
    /** @defaultValue none */
    readonly existing?: readonly ExistingLink[] | undefined
    /** Next hops of the default routes, where this endpoint offers them. */
    readonly gateways: { readonly ipv4?: string | undefined; readonly ipv6?: string | undefined }
    /** The endpoint does without a default route: the gateway network is not needed for it. @defaultValue false */
    readonly needsNoGateway?: boolean | undefined
  }
  readonly firewall: readonly FirewallFact[]
  /** Host ports that are held as long as the endpoint is joined. */
  readonly ports: readonly PublishedPort[]
}
