import type { Protocol, TransportPort } from '@net/types'
import type { PlannedRoute } from './plan.ts'

/** How far making or unmaking something has come. */
export type Phase = 'creating' | 'ready' | 'deleting'

/** The addresses of a network in one family. */
export interface Subnet {
  readonly poolId: string
  /** CIDR of the whole pool. */
  readonly pool: string
  /** The host's address in it, with prefix length; what containers route through. */
  readonly gateway: string
}

/** A network, as it is recorded. Plain JSON; `options` are those its driver's `checkNetwork` returned. */
export interface NetworkRecord<Options = unknown> {
  readonly id: string
  readonly name: string
  readonly driver: string
  readonly phase: Phase
  readonly internal: boolean
  /** When it was made: ISO 8601, UTC. Not known of networks that an older version recorded. */
  readonly created?: string | undefined
  readonly ipv4?: Subnet | undefined
  readonly ipv6?: Subnet | undefined
  readonly labels: Readonly<Record<string, string>>
  /** Id of the network of settings alone that it was made from. */
  readonly configFrom?: string | undefined
  readonly options: Options
}

/** A published port with the host port it got, or several in a row. */
export interface PublishedPort {
  readonly protocol: Protocol
  readonly containerPort: number
  /** The host's address; absent: all of them, of each family that the endpoint has. */
  readonly hostAddress?: string | undefined
  readonly hostPort: number
  /** How many ports in a row, from these on. @defaultValue 1 */
  readonly count?: number | undefined
}

/** An endpoint, as it is recorded. `options` are those its driver's `checkEndpoint` returned. */
export interface EndpointRecord<Options = unknown> {
  readonly id: string
  readonly networkId: string
  readonly name: string
  readonly phase: Phase
  readonly macAddress: string
  /** With prefix length. */
  readonly address?: string | undefined
  /** With prefix length. */
  readonly address6?: string | undefined
  /** More of its addresses, with prefix length, which it alone has on its link. @defaultValue none */
  readonly linkLocalAddresses?: readonly string[] | undefined
  readonly aliases: readonly string[]
  readonly ports: readonly PublishedPort[]
  readonly exposed: readonly TransportPort[]
  /** Routes that its sandbox gets. @defaultValue none */
  readonly routes?: readonly PlannedRoute[] | undefined
  readonly options: Options
  /** What `effects.join` of its driver returned, while it is joined. */
  readonly joined?: unknown
  /** The sandbox it is joined to. */
  readonly sandboxId?: string | undefined
  /** Its interface in that sandbox. */
  readonly interfaceName?: string | undefined
  /** Names that its sandbox alone has for others of the network: `{ db: 'postgres-1' }`. */
  readonly sandboxAliases?: Readonly<Record<string, string>> | undefined
  /** Of the endpoints of a sandbox, the one with the highest serves the default route. @defaultValue 0 */
  readonly priority?: number | undefined
}

/** A sandbox, as it is recorded. */
export interface SandboxRecord {
  readonly id: string
  readonly containerId: string
  readonly phase: Phase
  readonly hostname: string
  readonly domainname?: string | undefined
  /** Of the user's making; drivers are told of them when an endpoint joins. @defaultValue none */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Path of its network namespace. */
  readonly key: string
  /** A runtime made the namespace, or is to bring one: until then there is none. @defaultValue it is the sandbox' own */
  readonly namespace?: 'given' | 'awaited' | undefined
}
