import { EtcdReplyError } from './errors.ts'
import { bytesAt, countAt, flagAt, listAt, shapeAt, shapeOf, textAt, type Shape } from './shape.ts'

// Messages of etcd's api/etcdserverpb/rpc.proto, as its gateway writes them in JSON.

/** A key with its value as it lies in etcd. */
export interface RawEntry {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly version: number
}

export interface RangeReply {
  readonly revision: number
  readonly entries: readonly RawEntry[]
  readonly more: boolean
}

/** What one step of a transaction came to. */
export interface StepReply {
  /** Keys that a deletion deleted. */
  readonly deleted: number
  /** Version of the key that was looked up; 0 where there is none. */
  readonly version: number
}

export interface TransactionReply {
  readonly revision: number
  readonly succeeded: boolean
  readonly steps: readonly StepReply[]
}

/** Fails unless there are `limit` entries at most. */
export function decodeRange(reply: unknown, limit: number): RangeReply {
  const shape = shapeOf(reply, 'the answer')
  const entries = listAt(shape, 'kvs').map((entry) => decodeEntry(shapeOf(entry, 'an entry')))
  if (entries.length > limit) throw new EtcdReplyError(`${entries.length} entries, with ${limit} asked for`)
  return { revision: revisionOf(shape), entries, more: flagAt(shape, 'more') }
}

/** Fails unless there is an answer for each of the `steps` that such an outcome has. */
export function decodeTransaction(reply: unknown, steps: { success: number; failure: number }): TransactionReply {
  const shape = shapeOf(reply, 'the answer')
  const succeeded = flagAt(shape, 'succeeded')
  const responses = listAt(shape, 'responses').map((step) => decodeStep(shapeOf(step, 'a response')))
  const expected = succeeded ? steps.success : steps.failure
  if (responses.length !== expected) throw new EtcdReplyError(`${responses.length} responses to ${expected} steps`)
  return { revision: revisionOf(shape), succeeded, steps: responses }
}

/** The id and the seconds that etcd gave a lease. */
export function decodeLease(reply: unknown): { id: string; seconds: number } {
  const shape = shapeOf(reply, 'the answer')
  const id = textAt(shape, 'ID')
  const seconds = countAt(shape, 'TTL')
  if (!isLeaseId(id) || seconds === 0) throw new EtcdReplyError('a lease without id or time to live')
  return { id, seconds }
}

/** The seconds that a lease has from now on; 0 where it is over. */
export function decodeKeepAlive(reply: unknown): number {
  return countAt(shapeOf(shapeOf(reply, 'the answer').result, 'result'), 'TTL')
}

/** The token to show with each request. */
export function decodeToken(reply: unknown): string {
  const token = textAt(shapeOf(reply, 'the answer'), 'token')
  // It becomes a header, which must not get a second line.
  if (!/^[\x21-\x7e]{1,8192}$/.test(token)) throw new EtcdReplyError('a token that is no header value')
  return token
}

/** Whether a text can be the id of a lease: a positive int64, too large for a number. */
export function isLeaseId(text: string): boolean {
  return /^[1-9]\d{0,18}$/.test(text) && BigInt(text) < 2n ** 63n
}

/** The revision in the header of an answer. */
export function revisionOf(shape: Shape): number {
  const revision = countAt(shapeAt(shape, 'header'), 'revision')
  if (revision === 0) throw new EtcdReplyError('no revision')
  return revision
}

/** An entry; of a deleted one there is no value. */
export function decodeEntry(shape: Shape): RawEntry {
  const version = countAt(shape, 'mod_revision')
  if (version === 0) throw new EtcdReplyError('an entry without a version')
  return { key: bytesAt(shape, 'key'), value: bytesAt(shape, 'value'), version }
}

function decodeStep(shape: Shape): StepReply {
  const [found] = listAt(shapeAt(shape, 'response_range'), 'kvs')
  return {
    deleted: countAt(shapeAt(shape, 'response_delete_range'), 'deleted'),
    version: found === undefined ? 0 : decodeEntry(shapeOf(found, 'an entry')).version,
  }
}
