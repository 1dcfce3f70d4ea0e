import { closeSync } from 'node:fs'
import { DatagramSocket, isErrno, listenStream, type SocketAddress } from '@net/netlink-ffi'
import { RedirectRules, type Listening } from './redirect.ts'

/** Room for some thousand questions that come while the event loop is busy. */
const UDP_BUFFER_BYTES = 1024 * 1024

/** 0 is any. */
type Ports = Pick<Listening, 'udpPort' | 'tcpPort'>

/** Those got last. Other namespaces mostly have them free as well, and rules that lead there are made already. */
let latest: Ports | undefined

/** What serving begins with, in the calling thread's namespace. */
export interface ListeningSockets {
  readonly udp: DatagramSocket
  readonly tcpFd: number
  readonly listening: Listening
}

/**
 * Opens both sockets, on free ports where the port is 0, and, where wanted, leads port 53 there: all of it or nothing.
 * Rules that are there already are led to again, where their ports can be had.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`), NetlinkError (`ERR_NETLINK`)
 */
export function openSockets({ address, port }: SocketAddress, redirect: boolean): ListeningSockets {
  const ports = { udpPort: port, tcpPort: port }
  if (!redirect) return openSocketsAt(address, ports)
  using rules = RedirectRules.open()
  const before = port === 0 ? (rules.portsFor(address) ?? latest) : undefined
  const sockets = (before && openFreeSocketsAt(address, before)) ?? openSocketsAt(address, ports)
  try {
    rules.leadTo(sockets.listening)
    latest = sockets.listening
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
