import type { PublishedPort } from '@net/driverapi'
import { formatPorts, type Logger } from '@net/types'

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

/** What is told when records of an earlier process are opened. */
export type RecoveryEvent = Recovery | RecordRefused | PortLost | NamesLost

/** Says it in the log, too: not everybody listens to events. */
export function logRecovery(logger: Logger, event: RecoveryEvent): void {
  const { kind, ...said } = event
  if (kind === 'recovered') logger.info(said, 'records of an earlier process are taken over')
  else logger.warn(said, warningOf(event))
}

function warningOf(event: Exclude<RecoveryEvent, Recovery>): string {
  if (event.kind === 'record-refused') return `nothing can be done with the record ${event.key}: it stays in the store`
  if (event.kind === 'names-lost') return `names are not answered in the sandbox of ${event.containerId}`
  const { protocol, hostPort, count } = event.port
  return `${protocol} ${formatPorts(hostPort, count)} leads to ${event.endpoint} as before, but is not held`
}
