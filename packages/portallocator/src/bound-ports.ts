import type { BoundSocket } from '@net/netlink-ffi'
import { RangeMap, type CallOptions, type Protocol } from '@net/types'
import { addressesMeet, addressOfSocket } from './host-address.ts'

/** Tells of the sockets of a protocol that are bound on the host. */
export type ListBoundSockets = (
  protocol: 'tcp' | 'udp',
  call?: CallOptions,
) => readonly BoundSocket[] | Promise<readonly BoundSocket[]>

/** Which ports of the calling thread's namespace programs have, as the kernel says when it is first asked. */
export class BoundPorts {
  readonly #list: ListBoundSockets
  /** By protocol: the kernel lists the sockets of all addresses anyway. */
  readonly #listed = new Map<Protocol, readonly BoundSocket[]>()
  readonly #found = new Map<string, RangeMap<BoundSocket>>()

  constructor(list: ListBoundSockets) {
    this.#list = list
  }

  /** The sockets that are in the way of taking ports of `address`, by their ports. */
  async of(protocol: Protocol, address: string, call?: CallOptions): Promise<RangeMap<BoundSocket>> {
    const key = `${protocol}/${address}`
    const found = this.#found.get(key) ?? portsMeeting(address, await this.#sockets(protocol, call))
    this.#found.set(key, found)
    return found
  }

  async #sockets(protocol: Protocol, call?: CallOptions): Promise<readonly BoundSocket[]> {
    // The kernel has no list of SCTP sockets, where it has them at all.
    if (protocol === 'sctp') return []
    const listed = this.#listed.get(protocol) ?? (await this.#list(protocol, call))
    this.#listed.set(protocol, listed)
    return listed
  }
}

function portsMeeting(address: string, sockets: readonly BoundSocket[]): RangeMap<BoundSocket> {
  const ports = new RangeMap<BoundSocket>()
  const meeting = sockets.filter((socket) => addressesMeet(address, addressOfSocket(socket)))
  for (const socket of meeting.sort((one, other) => one.port - other.port)) {
    if (ports.find(socket.port) === undefined) ports.add(socket.port, socket.port, socket)
  }
  return ports
}
