import type { NetworkRecord } from '@net/driverapi'

/** What a driver remembers of a network: what its plugin was told. */
export interface RemoteOptions {
  /** Name of the plugin. */
  readonly plugin: string
  /** The families of the network. @defaultValue those that it has subnets of */
  readonly families?: readonly (4 | 6)[] | undefined
  /** Labels and options of the network, as the user gave them. */
  readonly given: Readonly<Record<string, unknown>>
}

/** What it remembers of an endpoint. */
export interface RemoteEndpointOptions {
  /** Options of the endpoint, as the user gave them. */
  readonly given: Readonly<Record<string, unknown>>
}

/** Whether a network is one of a plugin's, which may not be there: then it is known by its record alone. */
export function isRemoteNetwork({ driver, options }: NetworkRecord): boolean {
  return typeof options === 'object' && options !== null && (options as Partial<RemoteOptions>).plugin === driver
}
