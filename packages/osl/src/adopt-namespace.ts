import { statSync } from 'node:fs'
import { adoptNamespace, isErrno, RouteSocket, setLink } from '@net/netlink-ffi'
import type { Logger } from '@net/types'
import { InvalidNamespaceError, NotPermittedError, SandboxExistsError, SandboxNotFoundError } from './errors.ts'

/**
 * Has the sandbox at path `key` be the namespace that a runtime made at `from`, with its loopback interface up. It is
 * let go with the sandbox, and lives on as long as its processes do.
 *
 * @throws InvalidNamespaceError (`ERR_INVALID_NAMESPACE`), SandboxNotFoundError (`ERR_SANDBOX_NOT_FOUND`),
 *   SandboxExistsError (`ERR_SANDBOX_EXISTS`), NotPermittedError (`ERR_NOT_PERMITTED`)
 */
export function adoptSandboxNamespace(from: string, key: string, logger?: Logger): void {
  refuseHost(from)
  try {
    adoptNamespace(from, key, () => {
      using routes = RouteSocket.open({ logger })
      routes.apply(setLink('lo', { up: true }))
    })
  } catch (cause) {
    throw explain(cause, from, key)
  }
}

/** The host's own links, addresses and routes are nobody's to give to a container. */
function refuseHost(from: string): void {
  const found = statSync(from, { throwIfNoEntry: false })
  const host = statSync('/proc/thread-self/ns/net')
  if (found === undefined) throw new SandboxNotFoundError(from, undefined)
  if (found.ino === host.ino && found.dev === host.dev) {
    throw new InvalidNamespaceError(from, "a network namespace other than the host's")
  }
}

function explain(cause: unknown, from: string, key: string): unknown {
  if (isErrno(cause, 'EINVAL')) return new InvalidNamespaceError(from, 'a network namespace', cause)
  if (isErrno(cause, 'EPERM', 'EACCES')) return new NotPermittedError(`enter namespace ${from}`, cause)
  const code = (cause as NodeJS.ErrnoException).code
  if (code === 'EEXIST') return new SandboxExistsError(key, cause)
  if (code === 'ENOENT' || code === 'ESRCH') return new SandboxNotFoundError(from, cause)
  return cause
}
