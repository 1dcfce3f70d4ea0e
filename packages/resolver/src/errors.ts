import { NetError } from '@net/types'

/** Bytes that should be a DNS message are none. */
export class MalformedDnsMessageError extends NetError<'ERR_MALFORMED_DNS_MESSAGE'> {
  constructor(what: string, offset: number) {
    super(`malformed DNS message: ${what} at byte ${offset}`, {
      code: 'ERR_MALFORMED_DNS_MESSAGE',
      kind: 'bad-request',
    })
  }
}

/** A text that cannot be a name in DNS. */
export class InvalidDomainNameError extends NetError<'ERR_INVALID_DOMAIN_NAME'> {
  constructor(name: string, why: string) {
    super(`invalid domain name ${JSON.stringify(name)}: ${why}`, {
      code: 'ERR_INVALID_DOMAIN_NAME',
      kind: 'bad-request',
    })
  }
}

/** A resolv.conf has a line that no resolver would read. */
export class ResolvConfTooLongError extends NetError<'ERR_RESOLV_CONF_TOO_LONG'> {
  constructor(path: string, limit: number) {
    super(`failed to parse resolv.conf from ${path}: line too long (exceeds ${limit})`, {
      code: 'ERR_RESOLV_CONF_TOO_LONG',
      kind: 'bad-request',
    })
  }
}

/** A name that would not stay one name in a hosts file. */
export class InvalidHostNameError extends NetError<'ERR_INVALID_HOST_NAME'> {
  constructor(name: string) {
    super(`invalid host name ${JSON.stringify(name)}: expected one word without "#"`, {
      code: 'ERR_INVALID_HOST_NAME',
      kind: 'bad-request',
    })
  }
}

/** The file that remembers what was written does not hold a hash. */
export class InvalidFileHashError extends NetError<'ERR_INVALID_FILE_HASH'> {
  constructor(path: string) {
    super(`invalid file hash in ${path}: expected sha256: and 64 hexadecimal digits`, {
      code: 'ERR_INVALID_FILE_HASH',
      kind: 'bad-request',
    })
  }
}
