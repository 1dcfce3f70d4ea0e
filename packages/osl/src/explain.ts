import { isErrno } from '@net/netlink-ffi'
import { BridgeFullError, InterfaceExistsError, NotPermittedError, UnsupportedKernelError } from './errors.ts'

/** A link that was to be made. */
export interface WantedLink {
  readonly name: string
  readonly kind: string
  /** The bridge that it was to be a port of. */
  readonly master?: string | undefined
}

/** What the kernel's refusal to make a link means; the refusal itself where we have no word for it. */
export function explainRefusal(cause: unknown, { name, kind, master }: WantedLink): unknown {
  if (isErrno(cause, 'EEXIST')) return new InterfaceExistsError(name, cause)
  if (isErrno(cause, 'EPERM', 'EACCES')) return new NotPermittedError(`create link ${name}`, cause)
  if (isErrno(cause, 'EOPNOTSUPP')) return new UnsupportedKernelError(`links of kind ${kind}`, cause)
  if (isErrno(cause, 'EXFULL') && master !== undefined) return new BridgeFullError(master, cause)
  return cause
}
