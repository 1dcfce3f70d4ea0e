import type { Logger } from '@net/types'

/** Where what comes to a port goes. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** A port that is served until it is closed. */
export interface ServedPort {
  /** The port it got. */
  readonly port: number
  /** Ends what goes through it. */
  close(): Promise<void>
}

/** What every port of a proxy is served with. */
export interface ServingDeps {
  readonly logger: Logger
  readonly udp: UdpLimits
}

/** How long and how many clients of a UDP port are remembered. */
export interface UdpLimits {
  readonly idleMs: number
  readonly clients: number
}
