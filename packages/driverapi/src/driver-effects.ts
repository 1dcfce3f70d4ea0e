import type { CallOptions } from '@net/types'
import type { EndpointRecord, NetworkRecord, SandboxRecord } from './records.ts'

/** What a driver has chosen for an endpoint that had none. With prefix length. */
export interface ChosenAddresses {
  readonly address?: string | undefined
  readonly address6?: string | undefined
  readonly macAddress?: string | undefined
}

/** What a network's pools are like, beside what its record says. */
export interface NetworkPools {
  readonly addressSpace: string
  /** Addresses that are not given to endpoints, by what they are for. */
  readonly auxAddresses: Readonly<Record<string, string>>
}

/**
 * What a driver does itself, elsewhere, beside what its plans say: that of a plugin asks another program. The controller
 * calls each at its place in an operation, after what is intended is recorded. Of what makes something the opposite is
 * called whenever it failed or may have been done, after a crash too: that nothing is there is then no failure.
 *
 * Plans are made as ever, from records, which hold what these return.
 */
export interface DriverEffects {
  createNetwork(network: NetworkRecord, pools: NetworkPools, call?: CallOptions): Promise<void>
  deleteNetwork(network: NetworkRecord): Promise<void>
  /** Returns what it chose of what the endpoint did not have yet. */
  createEndpoint(network: NetworkRecord, endpoint: EndpointRecord, call?: CallOptions): Promise<ChosenAddresses>
  deleteEndpoint(network: NetworkRecord, endpoint: EndpointRecord): Promise<void>
  /** Returns what the endpoint's record has as `joined` from then on, in plain JSON. Plans go by it. */
  join(network: NetworkRecord, endpoint: EndpointRecord, sandbox: SandboxRecord, call?: CallOptions): Promise<unknown>
  /** Called when its links are out of the sandbox. */
  leave(network: NetworkRecord, endpoint: EndpointRecord): Promise<void>
  /** The endpoint serves a default route of its sandbox from now on. */
  becomeGateway(network: NetworkRecord, endpoint: EndpointRecord, call?: CallOptions): Promise<void>
  /** It does so no more. */
  ceaseGateway(network: NetworkRecord, endpoint: EndpointRecord): Promise<void>
  /** What it knows of an endpoint, beside what `describe` of the driver says. */
  endpointInfo(
    network: NetworkRecord,
    endpoint: EndpointRecord,
    call?: CallOptions,
  ): Promise<Readonly<Record<string, unknown>>>
}
