/** What may become of an interface that somebody else has his hands on. */
export type DriftKind =
  | 'bridge-deleted'
  | 'bridge-renamed'
  | 'bridge-down'
  /** Its link group, alias, MTU or MAC address. */
  | 'bridge-changed'
  | 'address-removed'
  | 'interface-deleted'
  | 'interface-renamed'
  | 'interface-detached'
  | 'interface-down'
  /** It is in no namespace of ours any more. */
  | 'interface-moved'
  /** A default route of a sandbox. */
  | 'route-removed'
  /** The namespace of a sandbox was unmounted, and is gone with all that was in it. */
  | 'namespace-lost'

/** Something of ours is not as it was left. */
export interface DriftEvent {
  readonly kind: 'drift'
  readonly what: DriftKind
  /** The bridge, the host's end of an interface, the path of the namespace, or, in a sandbox, the interface. */
  readonly subject: string
  /** Path of the namespace that it is in. @defaultValue the host's */
  readonly sandbox?: string | undefined
  /** What exactly: the address, or the name it has now. */
  readonly detail?: string | undefined
  /** As it was again; only told, since that is what was asked for; or beyond repair. */
  readonly outcome: 'repaired' | 'reported' | 'lost'
  /** Why it could not be repaired. */
  readonly error?: Error | undefined
}

/** What is done about it. */
export type DriftAnswer = 'off' | 'report' | 'repair'
