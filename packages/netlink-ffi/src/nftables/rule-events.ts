import { watchEvents, type EventSource } from '../event-socket.ts'
import { headerFields, type ReceivedMessage } from '../message.ts'
import { NETLINK_NETFILTER } from '../nfnetlink-header.ts'
import { decodeCommit, decodeChange, endsCommit, type RuleAuthor, type RuleChange } from './rule-change.ts'

/** linux/netfilter/nfnetlink.h */
const NFNLGRP_NFTABLES = 7
const BUFFER_BYTES = 4 * 1024 * 1024
/** Different changes that one commit is told by; a commit of more is told as an overrun. */
const MAX_CHANGES = 10_000

/** All that one commit did. */
export interface RuleCommit {
  readonly kind: 'commit'
  /** What {@link NftablesSocket.generation} said from then on. */
  readonly generation: number
  readonly by: RuleAuthor | undefined
  /** Alike ones are counted together. */
  readonly changes: readonly RuleChange[]
}

/** What somebody did to the rules of the namespace. */
export type RuleEvent =
  | RuleCommit
  /** Events were lost because they came faster than they were read, or were too many: list again. */
  | { readonly kind: 'overrun' }

/** Whom to listen to. */
export interface WatchRulesOptions {
  /** The netlink port of a socket whose own changes are not told; see {@link NftablesSocket.port}. */
  readonly except?: number | undefined
}

/**
 * Follows changes of packet rules in the calling thread's namespace, commit by commit, without blocking the event
 * loop, until `close`. A slow listener loses events and is told so (`overrun`). Keeps no process alive.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): EPERM without CAP_NET_ADMIN
 */
export function watchRules(
  onEvent: (event: RuleEvent) => void,
  { except }: WatchRulesOptions = {},
): { close(): void } & Disposable {
  const reader = new CommitReader(except)
  const source: EventSource<RuleEvent> = {
    ...{ protocol: NETLINK_NETFILTER, groups: [NFNLGRP_NFTABLES], bufferBytes: BUFFER_BYTES },
    filter: except === undefined ? undefined : [[{ field: headerFields.port, is: except, then: 'drop' }], 'pass'],
    take: (message) => reader.take(message),
    lost: () => reader.clear(),
  }
  return watchEvents(source, onEvent)
}

/** Gathers the reports of a commit, which come one a change, until the one that ends it. */
export class CommitReader {
  readonly #except: number | undefined
  readonly #changes = new Map<string, RuleChange>()
  #isTooMuch = false

  constructor(except?: number) {
    this.#except = except
  }

  /** Takes the next report in; returns what happened once that is known. @throws MalformedMessageError */
  take(message: ReceivedMessage): RuleEvent | undefined {
    if (message.port === this.#except) return undefined
    if (!endsCommit(message)) {
      this.#count(message)
      return undefined
    }
    const changes = [...this.#changes.values()]
    const event: RuleEvent = this.#isTooMuch
      ? { kind: 'overrun' }
      : { kind: 'commit', ...decodeCommit(message), changes }
    this.clear()
    return event
  }

  /** Forgets the reports of a commit that has not ended, and says that it did. */
  clear(): RuleEvent {
    this.#changes.clear()
    this.#isTooMuch = false
    return { kind: 'overrun' }
  }

  #count(message: ReceivedMessage): void {
    const change = decodeChange(message)
    if (change === undefined) return
    const { kind, subject, table, name } = change
    const key = JSON.stringify([kind, subject, table.family, table.name, name])
    const count = (this.#changes.get(key)?.count ?? 0) + 1
    if (count > 1 || this.#changes.size < MAX_CHANGES) this.#changes.set(key, { ...change, count })
    else this.#isTooMuch = true
  }
}
