import type { BoundSocket, listBoundSockets } from '@net/netlink-ffi'
import { RangeMap, type Protocol, type RangeEntry } from '@net/types'
import { addressesMeet, addressOfSocket } from './host-address.ts'

/** The sockets of the calling thread's namespace that are in the way of taking ports of `address`, by their ports. */
export function boundPorts(list: typeof listBoundSockets, protocol: Protocol, address: string): RangeMap<BoundSocket> {
  const ports = new RangeMap<BoundSocket>()
  // The kernel has no list of SCTP sockets, where it has them at all.
  if (protocol === 'sctp') return ports
  const sockets = list(protocol).filter((socket) => addressesMeet(address, addressOfSocket(socket)))
  for (const socket of sockets.sort((one, other) => one.port - other.port)) {
    if (ports.find(socket.port) === undefined) ports.add(socket.port, socket.port, socket)
  }
  return ports
}

/** The socket that has the lowest port of a range, if one has any. */
export type BoundPort = RangeEntry<BoundSocket>
