import { InvalidPortError } from './errors.ts'

/** The protocols whose ports can be published. */
export type Protocol = 'tcp' | 'udp' | 'sctp'

/** Protocol numbers, from linux/in.h. */
export const protocolNumbers: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 }

/** A port that a container listens on. */
export interface TransportPort {
  readonly protocol: Protocol
  readonly port: number
}

/** Reads `tcp/80`. The protocol may be in upper case. @throws InvalidPortError (`ERR_INVALID_PORT`) */
export function parseTransportPort(text: string): TransportPort {
  const [protocol, port, ...rest] = text.toLowerCase().split('/')
  if (rest.length > 0 || !isProtocol(protocol) || port === undefined || !/^(0|[1-9][0-9]{0,4})$/.test(port)) {
    throw new InvalidPortError(text, 'PROTOCOL/PORT, such as tcp/80')
  }
  return { protocol, port: checkPort(Number(port)) }
}

/** Writes `tcp/80`. */
export function formatTransportPort(port: TransportPort): string {
  return `${port.protocol}/${port.port}`
}

/** `port` itself when it can be one. @throws InvalidPortError (`ERR_INVALID_PORT`) */
export function checkPort(port: number): number {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new InvalidPortError(String(port), '1 to 65535')
  return port
}

/**
 * `count` itself when there are so many ports from `port` on.
 *
 * @throws InvalidPortError (`ERR_INVALID_PORT`)
 */
export function checkPortCount(port: number, count: number): number {
  const most = 65_536 - checkPort(port)
  if (Number.isInteger(count) && count >= 1 && count <= most) return count
  throw new InvalidPortError(`${count} ports from ${port} on`, `1 to ${most} of them: ports end at 65535`)
}

/** Writes `80`, or `8000-8099` of several ports in a row. */
export function formatPorts(port: number, count = 1): string {
  return count === 1 ? String(port) : `${port}-${port + count - 1}`
}

/** Whether `value` names a protocol whose ports can be published. */
export function isProtocol(value: unknown): value is Protocol {
  return typeof value === 'string' && Object.hasOwn(protocolNumbers, value)
}
