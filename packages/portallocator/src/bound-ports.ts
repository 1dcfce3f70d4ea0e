import type { BoundSocket, listBoundSockets } from '@net/netlink-ffi'
import { RangeMap, type Protocol } from '@net/types'
import { addressesMeet, addressOfSocket } from './host-address.ts'

/** Which ports of the calling thread's namespace programs have, as the kernel says when it is first asked. */
export class BoundPorts {
  readonly #list: typeof listBoundSockets
  readonly #found = new Map<string, RangeMap<BoundSocket>>()

  constructor(list: typeof listBoundSockets) {
    this.#list = list
  }

  /** The sockets that are in the way of taking ports of `address`, by their ports. */
  of(protocol: Protocol, address: string): RangeMap<BoundSocket> {
    const key = `${protocol}/${address}`
    const found = this.#found.get(key) ?? this.#look(protocol, address)
    this.#found.set(key, found)
    return found
  }

  #look(protocol: Protocol, address: string): RangeMap<BoundSocket> {
    const ports = new RangeMap<BoundSocket>()
    // The kernel has no list of SCTP sockets, where it has them at all.
    if (protocol === 'sctp') return ports
    const sockets = this.#list(protocol).filter((socket) => addressesMeet(address, addressOfSocket(socket)))
    for (const socket of sockets.sort((one, other) => one.port - other.port)) {
      if (ports.find(socket.port) === undefined) ports.add(socket.port, socket.port, socket)
    }
    return ports
  }
}
