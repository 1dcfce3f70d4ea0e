import type { PublishedPort } from '@net/driverapi'
import { formatPorts, logFields, type Logger } from '@net/types'

/** What came of opening the records of an earlier process. */
export interface Recovery {
  readonly kind: 'recovered'
  readonly networks: number
  readonly endpoints: number
  readonly sandboxes: number
  /** Containers whose sandboxes are gone: their namespaces were, or they had not come about. */
  readonly gone: readonly string[]
  /** Names of what had not come about, or whose deletion was finished; of sandboxes, those of their containers. */
  readonly undone: {
    readonly networks: readonly string[]
    readonly endpoints: readonly string[]
    readonly sandboxes: readonly string[]
  }
  /** What bore the controller's id and was nobody's: names of links, paths of namespaces. */
  readonly removed: { readonly links: readonly string[]; readonly namespaces: readonly string[] }
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

/** A port that was lost is held again. */
export interface PortHeld {
  readonly kind: 'port-held'
  readonly port: PublishedPort
  /** Name. */
  readonly endpoint: string
}

/** What had not come about when an earlier process ended, or was being deleted, is gone now. */
export interface Undone {
  readonly kind: 'undone'
  readonly what: 'network' | 'endpoint' | 'sandbox'
  /** Of a sandbox, that of its container. */
  readonly name: string
}

/** Something that bore the controller's id and that no record wanted is gone now. */
export interface StrangerRemoved {
  readonly kind: 'removed'
  readonly what: 'link' | 'namespace'
  /** Name of the link, path of the namespace. */
  readonly subject: string
}

/** A sandbox that lives, and in which names are not answered. */
export interface NamesLost {
  readonly kind: 'names-lost'
  readonly containerId: string
  readonly error: Error
}

/** What is told when records of an earlier process are opened, and of what that left open. */
export type RecoveryEvent = Recovery | RecordRefused | PortLost | PortHeld | Undone | StrangerRemoved | NamesLost

/** Says it in the log, too: not everybody listens to events. */
export function logRecovery(logger: Logger, event: RecoveryEvent): void {
  const { kind, ...said } = event
  const fields = logFields(said)
  if (kind === 'recovered' || kind === 'port-held') logger.info(fields, wordsOf(event))
  else logger.warn(fields, wordsOf(event))
}

function wordsOf(event: RecoveryEvent): string {
  switch (event.kind) {
    case 'recovered':
      return 'records of an earlier process are taken over'
    case 'record-refused':
      return `nothing can be done with the record ${event.key}: it stays in the store`
    case 'names-lost':
      return `names are not answered in the sandbox of ${event.containerId}`
    case 'undone':
      return `${event.what} ${event.name} had not come about, or was being deleted: it is gone`
    case 'removed':
      return `${event.what} ${event.subject}, which no record wants, is removed`
    case 'port-lost':
      return `${formatPort(event.port)} leads to ${event.endpoint} as before, but is not held`
    case 'port-held':
      return `${formatPort(event.port)} is held for ${event.endpoint} again`
  }
}

function formatPort({ protocol, hostPort, count }: PublishedPort): string {
  return `${protocol} ${formatPorts(hostPort, count)}`
}
