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

/** Whether `value` names a protocol whose ports can be published. */
export function isProtocol(value: unknown): value is Protocol {
  return typeof value === 'string' && Object.hasOwn(protocolNumbers, value)
}
