import type { PublishedPort } from '@net/driverapi'

/** What came of opening the records of an earlier process. */
export interface Recovery {
  readonly kind: 'recovered'
  readonly networks: number
  readonly endpoints: number
  readonly sandboxes: number
  /** Containers whose sandboxes are gone: their namespaces were, or they had not come about. */
  readonly gone: readonly string[]
  /** Keys of records that nothing could be done with. They are still in the store. */
  readonly refused: readonly string[]
}

/** A record that nothing can be done with: damaged, of a newer version, or of a driver that is not there. */
export interface RecordRefused {
  readonly kind: 'record-refused'
  readonly key: string
  readonly error: Error
}

/** A port of a container that goes on leading to it, though another program of the host has it by now. */
export interface PortLost {
  readonly kind: 'port-lost'
  readonly port: PublishedPort
  readonly endpoint: string
  readonly error: Error
}

/** A sandbox that lives, and in which names are not answered. */
export interface NamesLost {
  readonly kind: 'names-lost'
  readonly containerId: string
  readonly error: Error
}
