import { closeSync } from 'node:fs'
import { DatagramSocket, isErrno, listenStream, type SocketAddress } from '@net/netlink-ffi'
import { RedirectRules } from './redirect.ts'
import type { Listening, Ports, UsualPorts } from './usual-ports.ts'

/** Room for some thousand questions that come while the event loop is busy. */
const UDP_BUFFER_BYTES = 1024 * 1024

/** What serving begins with, in the calling thread's namespace. */
export interface ListeningSockets {
  readonly udp: DatagramSocket
  readonly tcpFd: number
  readonly listening: Listening
}

/**
 * Opens both sockets, on free ports where the port is 0, and, where wanted, leads port 53 there by packet rules: all of it or nothing.
 * Rules that are there already are led to again, where their ports can be had; else the usual ports are asked for first.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`), NetlinkError (`ERR_NETLINK`)
 */
export function openSockets({ address, port }: SocketAddress, redirectTo: UsualPorts | undefined): ListeningSockets {
  const ports = { udpPort: port, tcpPort: port }
  if (redirectTo === undefined) return openSocketsAt(address, ports)
  using rules = RedirectRules.open()
  const before = port === 0 ? (rules.portsFor(address) ?? redirectTo.ports) : undefined
  const sockets = (before && openFreeSocketsAt(address, before)) ?? openSocketsAt(address, ports)
  try {
    rules.leadTo(sockets.listening, redirectTo)
    return sockets
  } catch (error) {
    sockets.udp.close()
    closeSync(sockets.tcpFd)
    throw error
  }
}

/** Undefined where another has one of the ports. */
function openFreeSocketsAt(address: string, ports: Ports): ListeningSockets | undefined {
  try {
    return openSocketsAt(address, ports)
  } catch (error) {
    if (isErrno(error, 'EADDRINUSE')) return undefined
    throw error
  }
}

function openSocketsAt(address: string, ports: Ports): ListeningSockets {
  const udp = DatagramSocket.bind({ address, port: ports.udpPort }, { bufferBytes: UDP_BUFFER_BYTES })
  try {
    const { fd: tcpFd, localAddress } = listenStream({ address, port: ports.tcpPort })
    return { udp, tcpFd, listening: { address, udpPort: udp.localAddress.port, tcpPort: localAddress.port } }
  } catch (error) {
    udp.close()
    throw error
  }
}
