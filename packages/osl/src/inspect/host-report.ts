import type { FirewallReport } from '@net/driverapi'

/** What the kernel has of what a controller made, and beside it. Plain JSON. */
export interface HostReport {
  /** Links that bear the controller's name, and those that its plans name, in the order of their names. */
  readonly links: readonly HostLinkReport[]
  /** The namespaces of sandboxes, in the order asked. */
  readonly sandboxes: readonly SandboxReport[]
  /** Absent: these packet rules cannot be looked at. */
  readonly firewall?: FirewallReport | undefined
  /** Settings that plans name, by their path: `net/ipv4/conf/br-…/route_localnet`. */
  readonly sysctls: Readonly<Record<string, string>>
}

/** A link and what it has. */
export interface LinkReport {
  readonly name: string
  readonly kind?: string | undefined
  readonly up: boolean
  readonly mtu: number
  readonly macAddress?: string | undefined
  /** With prefix length; without those in fe80::/10, which the kernel makes as it goes. */
  readonly addresses: readonly string[]
}

/** A link in a sandbox. */
export interface SandboxLinkReport extends LinkReport {
  /** Its addresses in fe80::/10. Absent: none. */
  readonly linkLocal?: readonly string[] | undefined
}

/** A link of the host. */
export interface HostLinkReport extends LinkReport {
  readonly index: number
  /** Whose it is: its alias. */
  readonly owner?: string | undefined
  /** Name of the bridge that it is a port of. */
  readonly master?: string | undefined
}

/** A sandbox' namespace. */
export interface SandboxReport {
  readonly key: string
  /** Absent: there is no namespace. */
  readonly inside?:
    { readonly links: readonly SandboxLinkReport[]; readonly routes: readonly RouteReport[] } | undefined
}

/** A route of a sandbox. */
export interface RouteReport {
  readonly destination: string
  readonly gateway?: string | undefined
  /** Name of the link. */
  readonly link?: string | undefined
}
