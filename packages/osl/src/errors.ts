import { NetError, type ErrorKind } from '@net/types'

/** A kernel setting could not be read or written. */
export class SysctlError extends NetError<'ERR_SYSCTL'> {
  constructor(path: string, value: string, cause: Error) {
    super(`could not set ${path.replaceAll('/', '.')} to ${value}: ${cause.message}`, {
      code: 'ERR_SYSCTL',
      kind: kindOf(cause),
      cause,
    })
  }
}

/** An interface of this name is there and not ours to use. */
export class InterfaceExistsError extends NetError<'ERR_INTERFACE_EXISTS'> {
  constructor(name: string, cause: unknown) {
    super(`interface ${name} exists already`, { code: 'ERR_INTERFACE_EXISTS', kind: 'forbidden', cause })
  }
}

/** An address that an interface is to have is on another interface of the sandbox. */
export class AddressConflictError extends NetError<'ERR_ADDRESS_CONFLICT'> {
  constructor(address: string, link: string, key: string) {
    super(`address ${address} is taken in sandbox ${key}: ${link} has it`, {
      code: 'ERR_ADDRESS_CONFLICT',
      kind: 'forbidden',
    })
  }
}

/** A route of an interface leads where the sandbox has a route to already, its own or that of another interface. */
export class RouteExistsError extends NetError<'ERR_ROUTE_EXISTS'> {
  constructor(destination: string, name: string, cause: unknown) {
    super(`route to ${destination} by ${name} cannot be made: the sandbox has one`, {
      code: 'ERR_ROUTE_EXISTS',
      kind: 'forbidden',
      cause,
    })
  }
}

/** A link has one group, and a bridge of somebody else's has one of his. */
export class BridgeGroupedError extends NetError<'ERR_BRIDGE_GROUPED'> {
  constructor(bridge: string, group: number) {
    super(`bridge ${bridge} is in link group ${group}: expected one in no group, for networks have their own`, {
      code: 'ERR_BRIDGE_GROUPED',
      kind: 'forbidden',
    })
  }
}

/** The bridge takes no more ports: the kernel's limit is 1 023. */
export class BridgeFullError extends NetError<'ERR_BRIDGE_FULL'> {
  constructor(bridge: string, cause: unknown) {
    super(`bridge ${bridge} is full: it takes at most 1023 ports`, {
      code: 'ERR_BRIDGE_FULL',
      kind: 'no-service',
      cause,
    })
  }
}

/** The kernel object that a plan builds upon is not there. */
export class LinkNotFoundError extends NetError<'ERR_LINK_NOT_FOUND'> {
  constructor(name: string, cause: unknown) {
    super(`no such link: ${name}`, { code: 'ERR_LINK_NOT_FOUND', kind: 'not-found', cause })
  }
}

/** The link is not to be moved into a sandbox. */
export class LinkInUseError extends NetError<'ERR_LINK_IN_USE'> {
  constructor(name: string, why: string, cause?: unknown) {
    super(`link ${name} cannot be given to a sandbox: ${why}`, { code: 'ERR_LINK_IN_USE', kind: 'forbidden', cause })
  }
}

/** Frames on bridges cannot pass the packet rules, which are to separate containers. */
export class BridgeFilteringUnsupportedError extends NetError<'ERR_BRIDGE_FILTERING_UNSUPPORTED'> {
  constructor() {
    super('the kernel lacks br_netfilter: expected net.bridge.bridge-nf-call-iptables and -ip6tables', {
      code: 'ERR_BRIDGE_FILTERING_UNSUPPORTED',
      kind: 'not-implemented',
    })
  }
}

/** A sandbox with this key is there already. */
export class SandboxExistsError extends NetError<'ERR_SANDBOX_EXISTS'> {
  constructor(key: string, cause: unknown) {
    super(`sandbox ${key} exists already`, { code: 'ERR_SANDBOX_EXISTS', kind: 'forbidden', cause })
  }
}

/** No sandbox has this key. */
export class SandboxNotFoundError extends NetError<'ERR_SANDBOX_NOT_FOUND'> {
  constructor(key: string, cause: unknown) {
    super(`no such sandbox: ${key}`, { code: 'ERR_SANDBOX_NOT_FOUND', kind: 'not-found', cause })
  }
}

/** What was given for a namespace is none that a sandbox can have. */
export class InvalidNamespaceError extends NetError<'ERR_INVALID_NAMESPACE'> {
  constructor(path: string, expected: string, cause?: unknown) {
    super(`no namespace for a sandbox: ${path}: expected ${expected}`, {
      code: 'ERR_INVALID_NAMESPACE',
      kind: 'bad-request',
      cause,
    })
  }
}

/** The process may not do this. */
export class NotPermittedError extends NetError<'ERR_NOT_PERMITTED'> {
  constructor(what: string, cause: unknown) {
    super(`not permitted to ${what}: needs CAP_SYS_ADMIN and CAP_NET_ADMIN (root, or a user namespace)`, {
      code: 'ERR_NOT_PERMITTED',
      kind: 'forbidden',
      cause,
    })
  }
}

/** The kernel here lacks something that a plan needs. */
export class UnsupportedKernelError extends NetError<'ERR_UNSUPPORTED_KERNEL'> {
  constructor(feature: string, cause: unknown) {
    super(`this kernel lacks ${feature}`, { code: 'ERR_UNSUPPORTED_KERNEL', kind: 'not-implemented', cause })
  }
}

function kindOf(cause: Error): ErrorKind {
  const code = 'code' in cause ? cause.code : undefined
  if (code === 'ENOENT') return 'not-found'
  return code === 'EACCES' || code === 'EPERM' || code === 'EROFS' ? 'forbidden' : 'bad-request'
}
