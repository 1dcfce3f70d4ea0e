import { NetError } from '@net/types'

/** An answer of etcd that makes no sense. */
export class EtcdReplyError extends NetError<'ERR_ETCD_REPLY'> {
  /** What was wrong with it. */
  readonly why: string
  /** `unknown`: it answered a write, and whether that took place must be read. */
  readonly outcome: 'none' | 'unknown'

  constructor(why: string, outcome: 'none' | 'unknown' = 'none') {
    super(`etcd's answer makes no sense: ${why}`, { code: 'ERR_ETCD_REPLY', kind: 'internal' })
    this.why = why
    this.outcome = outcome
  }
}

/** An answer of etcd that is longer than any to what is asked for here. */
export class EtcdReplyTooLongError extends NetError<'ERR_ETCD_REPLY_TOO_LONG'> {
  constructor(limitBytes: number) {
    super(`etcd's answer is too long: expected ${limitBytes} bytes at most`, {
      code: 'ERR_ETCD_REPLY_TOO_LONG',
      kind: 'internal',
    })
  }
}

/** A request that etcd refused for a reason that it should never have. */
export class EtcdRefusedError extends NetError<'ERR_ETCD_REFUSED'> {
  /** The number that gRPC has for this sort of failure. */
  readonly status: number
  /** etcd's own words. */
  readonly reason: string

  constructor(status: number, reason: string) {
    super(`etcd refused: ${reason} (status ${status})`, { code: 'ERR_ETCD_REFUSED', kind: 'internal' })
    this.status = status
    this.reason = reason
  }
}

/** etcd does not know the user, or the user may not use the keys below the prefix. */
export class EtcdAccessDeniedError extends NetError<'ERR_ETCD_ACCESS_DENIED'> {
  constructor(reason: string) {
    super(`etcd denied access: ${reason}`, { code: 'ERR_ETCD_ACCESS_DENIED', kind: 'forbidden' })
  }
}
