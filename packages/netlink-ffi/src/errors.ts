import { constants } from 'node:os'
import { NetError, type ErrorKind } from '@net/types'

/** Second names of numbers that have one already. */
const aliases: readonly string[] = ['EWOULDBLOCK', 'ENOTSUP', 'EDEADLOCK']

const errnoNames = new Map(
  Object.entries(constants.errno)
    .filter(([name]) => !aliases.includes(name))
    .map(([name, number]) => [number, name]),
)

/** Numbers that Node does not name, from asm-generic/errno.h. */
for (const [name, number] of [
  ['EXFULL', 54],
  ['ENOTUNIQ', 76],
  ['ERESTART', 85],
  ['ESOCKTNOSUPPORT', 94],
  ['EPFNOSUPPORT', 96],
] as const) {
  if (!errnoNames.has(number)) errnoNames.set(number, name)
}

/** The name of an error number, `EEXIST` for 17; the number itself where it has none. */
export function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${errno}`
}

/** What a caller can do about an error number. */
function kindOf(errno: number): ErrorKind {
  switch (errnoName(errno)) {
    case 'EPERM':
    case 'EACCES':
    case 'EEXIST':
    case 'EBUSY':
    case 'EADDRINUSE':
      return 'forbidden'
    case 'ENOENT':
    case 'ENODEV':
    case 'ESRCH':
    case 'ENXIO':
      return 'not-found'
    case 'ENOMEM':
    case 'ENOBUFS':
    case 'ENOSPC':
    case 'EXFULL':
    case 'EMFILE':
    case 'ENFILE':
      return 'no-service'
    case 'EAGAIN':
    case 'EINTR':
    case 'ERESTART':
      return 'retry'
    case 'EOPNOTSUPP':
    case 'EPROTONOSUPPORT':
    case 'ESOCKTNOSUPPORT':
    case 'EAFNOSUPPORT':
    case 'ENOSYS':
      return 'not-implemented'
    default:
      return 'bad-request'
  }
}

/** A system call failed. `errno` is its number, `call` its name. */
export class SystemCallError extends NetError<'ERR_SYSTEM_CALL'> {
  readonly call: string
  readonly errno: number

  constructor(call: string, errno: number, about?: string) {
    super(`${call}: ${errnoName(errno)}${about === undefined ? '' : ` (${about})`}`, {
      code: 'ERR_SYSTEM_CALL',
      kind: kindOf(errno),
    })
    this.call = call
    this.errno = errno
  }
}

/** The kernel refused a netlink request. */
export class NetlinkError extends NetError<'ERR_NETLINK'> {
  /** The error number, positive: 17 for EEXIST. */
  readonly errno: number
  /** What was asked for, in words: `RTM_NEWLINK veth1a2b`. */
  readonly request: string
  /** What the kernel itself says about it (NLMSGERR_ATTR_MSG), where it does. */
  readonly kernelMessage: string | undefined

  constructor(request: string, errno: number, kernelMessage?: string) {
    super(`${request}: ${errnoName(errno)}${kernelMessage === undefined ? '' : `: ${kernelMessage}`}`, {
      code: 'ERR_NETLINK',
      kind: kindOf(errno),
    })
    this.request = request
    this.errno = errno
    this.kernelMessage = kernelMessage
  }
}

/** Bytes that should be a netlink message or attribute are none. */
export class MalformedMessageError extends NetError<'ERR_MALFORMED_MESSAGE'> {
  constructor(what: string, offset: number) {
    super(`malformed netlink message: ${what} at byte ${offset}`, { code: 'ERR_MALFORMED_MESSAGE', kind: 'internal' })
  }
}

/** The kernel's list changed while it was read, again and again. */
export class DumpInterruptedError extends NetError<'ERR_DUMP_INTERRUPTED'> {
  constructor(request: string, attempts: number) {
    super(`${request}: the list changed while it was read, ${attempts} times`, {
      code: 'ERR_DUMP_INTERRUPTED',
      kind: 'retry',
    })
  }
}

/** The kernel sent no answer where it always sends one. */
export class NoReplyError extends NetError<'ERR_NO_REPLY'> {
  constructor(request: string) {
    super(`${request}: the kernel sent no answer`, { code: 'ERR_NO_REPLY', kind: 'internal' })
  }
}

/** A batch of nftables messages does not fit into the send buffer of its socket. Nothing of it was sent. */
export class BatchTooLargeError extends NetError<'ERR_BATCH_TOO_LARGE'> {
  constructor(batch: string) {
    super(`${batch}: larger than the send buffer of the socket`, { code: 'ERR_BATCH_TOO_LARGE', kind: 'bad-request' })
  }
}

/** A value does not fit into the field of a message it is meant for. */
export class ValueOutOfRangeError extends NetError<'ERR_VALUE_OUT_OF_RANGE'> {
  constructor(what: string, value: string, expected: string) {
    super(`invalid ${what} ${value}: expected ${expected}`, { code: 'ERR_VALUE_OUT_OF_RANGE', kind: 'bad-request' })
  }
}

/** Another process holds the name. */
export class NameHeldError extends NetError<'ERR_NAME_HELD'> {
  /** Who holds it, where the kernel tells. */
  readonly pid: number | undefined

  constructor(name: string, pid: number | undefined) {
    super(`${name} is held by ${pid === undefined ? 'another process' : `process ${pid}`}`, {
      code: 'ERR_NAME_HELD',
      kind: 'forbidden',
    })
    this.pid = pid
  }
}

/** Whether `error` is a refusal by the kernel (of a netlink request or system call) with the error number named. */
export function isErrno(error: unknown, ...names: readonly string[]): boolean {
  return (
    error instanceof NetError &&
    (error instanceof NetlinkError || error instanceof SystemCallError) &&
    names.includes(errnoName(error.errno))
  )
}
