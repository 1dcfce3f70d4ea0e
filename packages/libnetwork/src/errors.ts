import { NetError } from '@net/types'

/** A request does not have the shape it must have; the message names the member and what would be right. */
export class InvalidRequestError extends NetError<'ERR_INVALID_REQUEST'> {
  constructor(what: string, member: string, problem: string) {
    super(`invalid ${what}: ${member === '' ? '' : `${member}: `}${problem}`, {
      code: 'ERR_INVALID_REQUEST',
      kind: 'bad-request',
    })
  }
}

/** A network of this name is there. */
export class NetworkExistsError extends NetError<'ERR_NETWORK_EXISTS'> {
  /** @param record - key of the refused record that has it */
  constructor(name: string, record?: string) {
    super(`network ${JSON.stringify(name)} exists already${inRecord(record)}`, {
      code: 'ERR_NETWORK_EXISTS',
      kind: 'forbidden',
    })
  }
}

/** No network has this id or name. */
export class NoSuchNetworkError extends NetError<'ERR_NO_SUCH_NETWORK'> {
  constructor(idOrName: string) {
    super(`no such network: ${JSON.stringify(idOrName)}`, { code: 'ERR_NO_SUCH_NETWORK', kind: 'not-found' })
  }
}

/** The network cannot be deleted while endpoints are on it. */
export class ActiveEndpointsError extends NetError<'ERR_ACTIVE_ENDPOINTS'> {
  constructor(network: string, endpoints: readonly string[]) {
    super(`network ${network} has active endpoints: ${endpoints.join(', ')}`, {
      code: 'ERR_ACTIVE_ENDPOINTS',
      kind: 'forbidden',
    })
  }
}

/** The network is nothing but settings for others. */
export class ConfigOnlyError extends NetError<'ERR_CONFIG_ONLY'> {
  constructor(network: string) {
    super(`network ${network} is only there for its settings: it has no endpoints`, {
      code: 'ERR_CONFIG_ONLY',
      kind: 'forbidden',
    })
  }
}

/** A network that is only settings, or takes its settings from one, is asked for something besides. */
export class ConfigConflictError extends NetError<'ERR_CONFIG_CONFLICT'> {
  constructor(network: string, member: string) {
    super(`network ${network} cannot have ${member} beside configOnly or configFrom`, {
      code: 'ERR_CONFIG_CONFLICT',
      kind: 'forbidden',
    })
  }
}

/** Settings cannot be deleted while there are networks that were made from them. */
export class ConfigInUseError extends NetError<'ERR_CONFIG_IN_USE'> {
  constructor(network: string, users: readonly string[]) {
    super(`network ${network} is in use by networks: ${users.join(', ')}`, {
      code: 'ERR_CONFIG_IN_USE',
      kind: 'forbidden',
    })
  }
}

/** The driver's networks have another scope. */
export class ScopeMismatchError extends NetError<'ERR_SCOPE_MISMATCH'> {
  constructor(driver: string, scope: string, wanted: string) {
    super(`networks of driver ${driver} are of scope ${scope}, not ${wanted}`, {
      code: 'ERR_SCOPE_MISMATCH',
      kind: 'forbidden',
    })
  }
}

/** The object is being made or unmade. */
export class BusyError extends NetError<'ERR_BUSY'> {
  constructor(what: string, phase: string) {
    super(`${what} is ${phase}`, { code: 'ERR_BUSY', kind: 'retry' })
  }
}

/** An endpoint of this name is on the network. */
export class EndpointExistsError extends NetError<'ERR_ENDPOINT_EXISTS'> {
  /** @param record - key of the refused record that has it */
  constructor(name: string, network: string, record?: string) {
    super(`endpoint ${JSON.stringify(name)} exists already in network ${network}${inRecord(record)}`, {
      code: 'ERR_ENDPOINT_EXISTS',
      kind: 'forbidden',
    })
  }
}

/** No endpoint has this id or name. */
export class NoSuchEndpointError extends NetError<'ERR_NO_SUCH_ENDPOINT'> {
  constructor(idOrName: string) {
    super(`no such endpoint: ${JSON.stringify(idOrName)}`, { code: 'ERR_NO_SUCH_ENDPOINT', kind: 'not-found' })
  }
}

/** The endpoint is joined to a sandbox. */
export class EndpointJoinedError extends NetError<'ERR_ENDPOINT_JOINED'> {
  constructor(endpoint: string, sandbox: string) {
    super(`endpoint ${endpoint} is joined to sandbox ${sandbox}`, { code: 'ERR_ENDPOINT_JOINED', kind: 'forbidden' })
  }
}

/** The endpoint is not joined to that sandbox. */
export class EndpointNotJoinedError extends NetError<'ERR_ENDPOINT_NOT_JOINED'> {
  constructor(endpoint: string, sandbox: string) {
    super(`endpoint ${endpoint} is not joined to sandbox ${sandbox}`, {
      code: 'ERR_ENDPOINT_NOT_JOINED',
      kind: 'forbidden',
    })
  }
}

/** A sandbox for this container is there. */
export class ContainerHasSandboxError extends NetError<'ERR_CONTAINER_HAS_SANDBOX'> {
  /** @param record - key of the refused record that has it */
  constructor(containerId: string, record?: string) {
    super(`container ${JSON.stringify(containerId)} has a sandbox already${inRecord(record)}`, {
      code: 'ERR_CONTAINER_HAS_SANDBOX',
      kind: 'forbidden',
    })
  }
}

/** No sandbox has this id. */
export class NoSuchSandboxError extends NetError<'ERR_NO_SUCH_SANDBOX'> {
  constructor(id: string) {
    super(`no such sandbox: ${JSON.stringify(id)}`, { code: 'ERR_NO_SUCH_SANDBOX', kind: 'not-found' })
  }
}

/** The endpoint does not publish this port. */
export class PortNotPublishedError extends NetError<'ERR_PORT_NOT_PUBLISHED'> {
  constructor(port: string, endpoint: string) {
    super(`port ${port} is not published by endpoint ${endpoint}`, {
      code: 'ERR_PORT_NOT_PUBLISHED',
      kind: 'not-found',
    })
  }
}

/** The host address of a port is of a family that the endpoint has no address of. */
export class FamilyMismatchError extends NetError<'ERR_FAMILY_MISMATCH'> {
  constructor(hostAddress: string, endpoint: string) {
    super(`cannot publish on ${hostAddress}: endpoint ${endpoint} has no address of that family`, {
      code: 'ERR_FAMILY_MISMATCH',
      kind: 'bad-request',
    })
  }
}

/** Another process has opened this controller. */
export class ControllerRunningError extends NetError<'ERR_CONTROLLER_RUNNING'> {
  /** The other process, where the kernel tells. */
  readonly pid: number | undefined

  constructor(name: string, pid: number | undefined, cause: unknown) {
    super(`controller ${name} is open already, in ${pid === undefined ? 'another process' : `process ${pid}`}`, {
      code: 'ERR_CONTROLLER_RUNNING',
      kind: 'forbidden',
      cause,
    })
    this.pid = pid
  }
}

/** The folder for namespaces cannot be made. */
export class RuntimeDirectoryError extends NetError<'ERR_RUNTIME_DIRECTORY'> {
  constructor(path: string, cause: unknown) {
    super(`${path} cannot be made: expected a runtime directory that can be written to`, {
      code: 'ERR_RUNTIME_DIRECTORY',
      kind: 'bad-request',
      cause,
    })
  }
}

/** What an address manager answered cannot be. */
export class InvalidIpamAnswerError extends NetError<'ERR_INVALID_IPAM_ANSWER'> {
  constructor(ipam: string, answer: string, expected: string) {
    super(`address manager ${ipam} answered ${JSON.stringify(answer)}: expected ${expected}`, {
      code: 'ERR_INVALID_IPAM_ANSWER',
      kind: 'internal',
    })
  }
}

/** No address manager has this name. */
export class NoSuchIpamDriverError extends NetError<'ERR_NO_SUCH_IPAM_DRIVER'> {
  constructor(name: string, known: readonly string[], cause?: unknown) {
    super(`no such address manager: ${JSON.stringify(name)}; known: ${known.join(', ')}`, {
      code: 'ERR_NO_SUCH_IPAM_DRIVER',
      kind: 'not-found',
      cause,
    })
  }
}

/** Two records lay claim to one thing: the one that was read later is refused. */
export class RecordConflictError extends NetError<'ERR_RECORD_CONFLICT'> {
  constructor(what: string, other: string) {
    super(`${what} is that of the record ${other}, too`, { code: 'ERR_RECORD_CONFLICT', kind: 'forbidden' })
  }
}

/** Only records that nothing can be done with can be forgotten. */
export class RecordNotRefusedError extends NetError<'ERR_RECORD_NOT_REFUSED'> {
  constructor(key: string, refused: readonly string[]) {
    super(`record ${key} was not refused; refused: ${refused.length === 0 ? 'none' : refused.join(', ')}`, {
      code: 'ERR_RECORD_NOT_REFUSED',
      kind: 'forbidden',
    })
  }
}

/** The record of the controller itself cannot be read, and nothing else says whose records these are. */
export class ControllerRecordError extends NetError<'ERR_CONTROLLER_RECORD'> {
  constructor(key: string, cause: unknown) {
    super(
      `record ${key} cannot be read, and no other says whose records these are: restore the store, such as by restoreLmdbStore of @net/datastore-lmdb, which goes back to its snapshot`,
      { code: 'ERR_CONTROLLER_RECORD', kind: 'internal', cause },
    )
  }
}

function inRecord(key: string | undefined): string {
  return key === undefined ? '' : `, in the refused record ${key}`
}
