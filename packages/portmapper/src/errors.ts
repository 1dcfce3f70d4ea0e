import { NetError, type ErrorKind } from '@net/types'

/** A forward does not have the shape it must have; the message names the member and what would be right. */
export class InvalidForwardError extends NetError<'ERR_INVALID_FORWARD'> {
  constructor(member: string, problem: string) {
    super(`invalid forward: ${member === '' ? '' : `${member}: `}${problem}`, {
      code: 'ERR_INVALID_FORWARD',
      kind: 'bad-request',
    })
  }
}

/** The proxy serves this port of this address already. */
export class ForwardExistsError extends NetError<'ERR_FORWARD_EXISTS'> {
  constructor(what: string) {
    super(`port is already mapped to ip: ${what}`, { code: 'ERR_FORWARD_EXISTS', kind: 'forbidden' })
  }
}

/** The kernel has no sockets of SCTP: its module is missing, or may not be loaded. */
export class SctpUnsupportedError extends NetError<'ERR_SCTP_UNSUPPORTED'> {
  constructor(what: string, cause: unknown) {
    super(`unsupported protocol sctp: ${what}`, { code: 'ERR_SCTP_UNSUPPORTED', kind: 'not-implemented', cause })
  }
}

/** What came over a control socket is no message of its protocol. */
export class InvalidControlMessageError extends NetError<'ERR_INVALID_CONTROL_MESSAGE'> {
  constructor(problem: string) {
    super(`invalid control message: ${problem}`, { code: 'ERR_INVALID_CONTROL_MESSAGE', kind: 'bad-request' })
  }
}

/** The proxy process could not be started. */
export class ProxyStartError extends NetError<'ERR_PROXY_START'> {
  constructor(problem: string, cause?: unknown) {
    super(`error starting userland proxy: ${problem}`, { code: 'ERR_PROXY_START', kind: 'no-service', cause })
  }
}

/** The proxy process did not say in time that it serves, and has been ended; or one that is there does not answer. */
export class ProxyTimeoutError extends NetError<'ERR_PROXY_TIMEOUT'> {
  constructor(timeoutMs: number, what = 'starting the userland proxy') {
    super(`timed out ${what}: ${timeoutMs} ms`, { code: 'ERR_PROXY_TIMEOUT', kind: 'timeout' })
  }
}

/** The proxy process refused a request; its kind is that of the reason. */
export class ProxyRefusedError extends NetError<'ERR_PROXY_REFUSED'> {
  /** The code of the reason, in the process: `ERR_SYSTEM_CALL`, … */
  readonly reason: string

  constructor({ code, kind, message }: { readonly code: string; readonly kind: ErrorKind; readonly message: string }) {
    super(`userland proxy: ${message}`, { code: 'ERR_PROXY_REFUSED', kind })
    this.reason = code
  }
}

/** The proxy process ended while it was asked for something. */
export class ProxyGoneError extends NetError<'ERR_PROXY_GONE'> {
  constructor() {
    super('userland proxy ended', { code: 'ERR_PROXY_GONE', kind: 'retry' })
  }
}

/** What the one who started a proxy must say and did not, or said wrongly. */
export class InvalidArgumentError extends NetError<'ERR_INVALID_ARGUMENT'> {
  constructor(problem: string) {
    super(problem, { code: 'ERR_INVALID_ARGUMENT', kind: 'bad-request' })
  }
}
