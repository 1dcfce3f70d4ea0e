import { EtcdRefusedError, EtcdReplyError } from './errors.ts'
import { parseJson } from './json-lines.ts'
import { shapeAt, shapeOf, textAt, type Shape } from './shape.ts'

const UNAVAILABLE = 14

/** What can be done about a refusal. */
export type RefusalSort =
  /** Nothing was carried out: another server may do it. */
  | 'not-done'
  /** The server lost its way: what it was asked for may have been carried out. */
  | 'unavailable'
  /** The token is no longer good. */
  | 'token'
  | 'access'
  | 'no-auth'
  | 'full'
  | 'too-large'
  | 'no-lease'
  | 'compacted'
  | 'other'

/**
 * etcd's refusals, by how its words begin: api/v3rpc/rpctypes/error.go. Several share one gRPC status, so that
 * the words are all there is to tell them apart by.
 */
const byWords: readonly (readonly [words: string, sort: RefusalSort])[] = [
  ['etcdserver: no leader', 'not-done'],
  ['etcdserver: too many requests', 'not-done'],
  ['etcdserver: requested lease not found', 'no-lease'],
  ['etcdserver: mvcc: database space exceeded', 'full'],
  ['etcdserver: no space', 'full'],
  ['etcdserver: request is too large', 'too-large'],
  ['grpc: received message larger than max', 'too-large'],
  ['etcdserver: mvcc: required revision has been compacted', 'compacted'],
  ['etcdserver: invalid auth token', 'token'],
  ['etcdserver: revision of auth store is old', 'token'],
  ['etcdserver: authentication is not enabled', 'no-auth'],
  ['etcdserver: authentication failed', 'access'],
  ['etcdserver: user name is empty', 'access'],
  ['etcdserver: permission denied', 'access'],
]

/** The others, by gRPC's status: google.golang.org/grpc/codes. */
const byStatus: Readonly<Record<number, RefusalSort>> = {
  1: 'unavailable', // Canceled
  2: 'unavailable', // Unknown
  4: 'unavailable', // DeadlineExceeded
  7: 'access', // PermissionDenied
  10: 'unavailable', // Aborted
  13: 'unavailable', // Internal
  14: 'unavailable', // Unavailable
  15: 'unavailable', // DataLoss
  16: 'token', // Unauthenticated
}

/** Says what a refusal means. */
export function sortOf({ status, reason }: EtcdRefusedError): RefusalSort {
  const known = byWords.find(([words]) => reason.startsWith(words))
  return known?.[1] ?? byStatus[status] ?? 'other'
}

/** The answer in a body. @throws {@link EtcdRefusedError}; `ERR_ETCD_REPLY` */
export function decodeBody(httpStatus: number | undefined, text: string): unknown {
  if (httpStatus === 200) return passAnswer(parseJson(text))
  // A proxy that finds nobody behind it, or a server that is about to stop, speaks no JSON.
  if (httpStatus !== undefined && httpStatus >= 500 && !text.startsWith('{'))
    throw new EtcdRefusedError(UNAVAILABLE, `HTTP status ${httpStatus}`)
  if (httpStatus === 404 && !text.startsWith('{')) throw new EtcdReplyError('HTTP status 404: there is no gateway')
  throw decodeRefusal(shapeOf(parseJson(text), 'the answer'))
}

/** Passes on what a server answers unless that is a refusal, as a stream may end with. */
export function passAnswer(answer: unknown): unknown {
  const shape = shapeOf(answer, 'the answer')
  if (shape.error === undefined) return answer
  throw decodeRefusal(typeof shape.error === 'string' ? shape : shapeAt(shape, 'error'))
}

function decodeRefusal(shape: Shape): EtcdRefusedError {
  // Streams have a longer name for it.
  const status = shape.code ?? shape.grpc_code
  const reason = textAt(shape, 'message')
  if (typeof status !== 'number' || reason === '') throw new EtcdReplyError('an error without code or message')
  return new EtcdRefusedError(status, reason.slice(0, 500))
}
