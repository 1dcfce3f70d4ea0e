import { EtcdRefusedError } from './errors.ts'
import { ConnectionError } from './post.ts'
import { sortOf, type RefusalSort } from './refusal.ts'
import { TimeIsUp } from './within.ts'

/** What an attempt that failed means for the next one. */
export type Failure =
  /** It did nothing, or nothing but read: another one can be made. */
  | 'not-done'
  /** Whether the write took place is not known. */
  | 'unknown'
  | 'stale-token'
  | 'denied'
  /** The same would happen again. */
  | 'final'

/** Says what can be done after an attempt that failed with `error`. */
export function judge(error: unknown, isWrite: boolean): Failure {
  if (error instanceof ConnectionError) return isWrite && error.isSent ? 'unknown' : 'not-done'
  // Over before it was sent: while it was waiting for a token.
  if (error instanceof TimeIsUp) return 'not-done'
  if (!(error instanceof EtcdRefusedError)) return 'final'
  const sort = sortOf(error)
  if (sort === 'unavailable') return isWrite ? 'unknown' : 'not-done'
  return afterRefusal[sort] ?? 'final'
}

const afterRefusal: Readonly<Partial<Record<RefusalSort, Failure>>> = {
  'not-done': 'not-done',
  token: 'stale-token',
  access: 'denied',
}

/** The words for it: etcd's own where it said something. */
export function messageOf(error: unknown): string {
  if (error instanceof EtcdRefusedError) return error.reason
  return error instanceof Error ? error.message : String(error)
}
