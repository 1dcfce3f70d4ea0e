import { checkPortCount, InvalidPortError, isProtocol, type Protocol } from '@net/types'
import { parseHostAddress } from './host-address.ts'
import type { Ports } from './port-holder.ts'
import { checkRange, type PortRange } from './port-range.ts'

/** Asks for a port, or for several in a row. */
export interface TakePortRequest {
  /** An address of the host. Absent: all of them, of both families. */
  readonly address?: string | undefined
  readonly protocol: Protocol
  /** The very port wanted, or the first of several. Absent: any of `within`. */
  readonly port?: number | undefined
  /** @defaultValue the allocator's ephemeral range */
  readonly within?: PortRange | undefined
  /** How many ports in a row. @defaultValue 1 */
  readonly count?: number | undefined
}

/** Names the ports to book, each of them. */
export interface BookPortRequest extends Omit<TakePortRequest, 'within'> {
  readonly port: number
}

/** A request, checked. */
export interface Wanted extends Omit<Ports, 'first'> {
  readonly first: number | undefined
  readonly within: PortRange | undefined
}

/** @throws `ERR_INVALID_PORT`, `ERR_INVALID_PORT_RANGE`, `ERR_INVALID_ADDRESS` */
export function checkRequest({ protocol, port, count = 1, address, within }: TakePortRequest): Wanted {
  if (!isProtocol(protocol)) throw new InvalidPortError(String(protocol), 'protocol tcp, udp or sctp')
  return {
    protocol,
    first: port,
    count: checkPortCount(port ?? 1, count),
    address: parseHostAddress(address),
    within: within === undefined ? undefined : checkRange(within),
  }
}
