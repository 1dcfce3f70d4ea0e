/** What a caller can do about a failure, whichever package raised it. */
export type ErrorKind =
  | 'bad-request' // the request is wrong; change it
  | 'not-found' // the thing named does not exist
  | 'forbidden' // a valid request that cannot be honoured now
  | 'no-service' // a service or resource ran out
  | 'retry' // the same call may work later
  | 'timeout'
  | 'not-implemented'
  | 'internal' // a bug in this project

/** What a {@link NetError} is made of besides its message. */
export interface NetErrorOptions<Code extends string> {
  readonly code: Code
  readonly kind: ErrorKind
  readonly cause?: unknown
  /** The caller may carry on as if nothing had happened. */
  readonly maskable?: boolean
}

const brand: unique symbol = Symbol.for('@net/types.NetError')

/**
 * Base of every error this project throws on purpose.
 *
 * Tell errors apart with {@link isNetError} and a code, never with `instanceof`:
 * packages are versioned apart, so two copies of this class can be loaded at once.
 */
export class NetError<Code extends string = string> extends Error {
  readonly [brand] = true
  readonly code: Code
  readonly kind: ErrorKind
  readonly maskable: boolean

  constructor(message: string, options: NetErrorOptions<Code>) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = options.code
    this.kind = options.kind
    this.maskable = options.maskable ?? false
  }
}

/** Whether `error` is one of ours and, when `code` is given, that very one. */
export function isNetError<Code extends string>(error: unknown, code?: Code): error is NetError<Code> {
  return error instanceof Error && brand in error && (code === undefined || (error as NetError).code === code)
}

/** The object was closed; nothing more can be asked of it. */
export class ClosedError extends NetError<'ERR_CLOSED'> {
  constructor(what: string) {
    super(`${what} is closed`, { code: 'ERR_CLOSED', kind: 'forbidden' })
  }
}

/** A part of the public face that is not there yet. */
export class NotImplementedError extends NetError<'ERR_NOT_IMPLEMENTED'> {
  constructor(what: string) {
    super(`${what} is not implemented yet`, { code: 'ERR_NOT_IMPLEMENTED', kind: 'not-implemented' })
  }
}

/** A text that should be an IPv4 or IPv6 address and is none. */
export class InvalidAddressError extends NetError<'ERR_INVALID_ADDRESS'> {
  constructor(text: string, expected: string) {
    super(`invalid address ${JSON.stringify(text)}: expected ${expected}`, {
      code: 'ERR_INVALID_ADDRESS',
      kind: 'bad-request',
    })
  }
}

/** A text that should be an address with prefix length and is none. */
export class InvalidCidrError extends NetError<'ERR_INVALID_CIDR'> {
  constructor(text: string, expected: string) {
    super(`invalid CIDR ${JSON.stringify(text)}: expected ${expected}`, {
      code: 'ERR_INVALID_CIDR',
      kind: 'bad-request',
    })
  }
}

/** A text that should be a MAC address and is none, or one that no interface can have. */
export class InvalidMacAddressError extends NetError<'ERR_INVALID_MAC_ADDRESS'> {
  constructor(text: string, expected: string) {
    super(`invalid MAC address ${JSON.stringify(text)}: expected ${expected}`, {
      code: 'ERR_INVALID_MAC_ADDRESS',
      kind: 'bad-request',
    })
  }
}

/** A port, port range or protocol that is none. */
export class InvalidPortError extends NetError<'ERR_INVALID_PORT'> {
  constructor(value: string, expected: string) {
    super(`invalid port ${JSON.stringify(value)}: expected ${expected}`, {
      code: 'ERR_INVALID_PORT',
      kind: 'bad-request',
    })
  }
}
