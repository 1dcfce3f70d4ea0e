import { EtcdReplyError } from './errors.ts'
import { decodeEntry, revisionOf, type RawEntry } from './replies.ts'
import { countAt, flagAt, listAt, shapeOf, textAt, type Shape } from './shape.ts'

/** A key that was put or deleted; its version is the revision of the transaction. */
export interface RawEvent extends RawEntry {
  readonly type: 'put' | 'delete'
}

/** One message of a watch. */
export type WatchReply =
  | { readonly type: 'created' }
  /** `isFragment`: more events, perhaps of the last one's transaction, are in the next message. */
  | { readonly type: 'events'; readonly events: readonly RawEvent[]; readonly isFragment: boolean }
  /** Everything up to this revision was told. */
  | { readonly type: 'progress'; readonly revision: number }
  /** What was asked for is gone; `oldest` is what can still be asked for. */
  | { readonly type: 'compacted'; readonly oldest: number }
  | { readonly type: 'canceled'; readonly reason: string }

/** @throws `ERR_ETCD_REPLY` */
export function decodeWatchReply(reply: unknown): WatchReply {
  const shape = shapeOf(shapeOf(reply, 'the answer').result, 'result')
  const oldest = countAt(shape, 'compact_revision')
  if (oldest > 0) return { type: 'compacted', oldest }
  if (flagAt(shape, 'canceled')) return { type: 'canceled', reason: textAt(shape, 'cancel_reason') }
  if (flagAt(shape, 'created')) return { type: 'created' }

  const events = listAt(shape, 'events').map((event) => decodeEvent(shapeOf(event, 'an event')))
  if (events.length === 0) return { type: 'progress', revision: revisionOf(shape) }
  return { type: 'events', events, isFragment: flagAt(shape, 'fragment') }
}

function decodeEvent(shape: Shape): RawEvent {
  const type = textAt(shape, 'type')
  // PUT is the default, and defaults are left out.
  if (type !== '' && type !== 'PUT' && type !== 'DELETE')
    throw new EtcdReplyError(`an event of type ${type.slice(0, 20)}`)
  return { type: type === 'DELETE' ? 'delete' : 'put', ...decodeEntry(shapeOf(shape.kv, 'kv')) }
}
