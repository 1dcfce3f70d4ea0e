import type { TakePortRequest } from '@net/portallocator'

/** A port to publish, or several in a row. */
export interface PortRequest {
  /** @defaultValue 'tcp' */
  readonly protocol?: 'tcp' | 'udp' | 'sctp' | undefined
  readonly containerPort: number
  /** The last of several ports in a row, from `containerPort` on. @defaultValue `containerPort` */
  readonly containerPortEnd?: number | undefined
  /** The first port of the host. @defaultValue any that is free, or that begins so many free ones */
  readonly hostPort?: number | undefined
  /**
   * The last port of the host, of as many as the container's; or, of one container port, the last of those from
   * `hostPort` on that it may get. @defaultValue follows from the others
   */
  readonly hostPortEnd?: number | undefined
  /** An address of the host. @defaultValue all of them, of each family that the endpoint has */
  readonly hostAddress?: string | undefined
}

/** A member of a request, and what would be right there. */
interface Problem {
  readonly member: 'containerPortEnd' | 'hostPort' | 'hostPortEnd'
  readonly expected: string
}

const LAST_PORT = 65_535

/** What is wrong with the ports of a request, each of which can be one; undefined where they go together. */
export function problemOfPorts(request: PortRequest): Problem | undefined {
  const { containerPort, containerPortEnd = containerPort, hostPort, hostPortEnd } = request
  if (containerPortEnd < containerPort) {
    return { member: 'containerPortEnd', expected: `expected ${containerPort} (containerPort) or more` }
  }
  if (hostPort === undefined) {
    return hostPortEnd === undefined ? undefined : { member: 'hostPortEnd', expected: 'expected beside hostPort only' }
  }
  const count = countOf(request)
  if (hostPort + count - 1 > LAST_PORT) {
    return { member: 'hostPort', expected: `expected ${LAST_PORT - count + 1} or less, for ${count} ports` }
  }
  if (hostPortEnd === undefined) return undefined
  if (hostPortEnd < hostPort) {
    return { member: 'hostPortEnd', expected: `expected ${hostPort} (hostPort) or more` }
  }
  const last = hostPort + count - 1
  if (hostPortEnd === last || request.containerPortEnd === undefined) return undefined
  return { member: 'hostPortEnd', expected: `expected ${last}, for as many ports as the container's ${count}` }
}

/** How many ports of the container a request is about. */
export function countOf({ containerPort, containerPortEnd = containerPort }: PortRequest): number {
  return containerPortEnd - containerPort + 1
}

/** Which ports of the host a request asks for. */
export function hostPortsOf(request: PortRequest): Pick<TakePortRequest, 'port' | 'within' | 'count'> {
  const { containerPortEnd, hostPort, hostPortEnd } = request
  const isChoice = hostPort !== undefined && hostPortEnd !== undefined && containerPortEnd === undefined
  if (isChoice) return { within: { first: hostPort, last: hostPortEnd } }
  return { port: hostPort, count: countOf(request) }
}
