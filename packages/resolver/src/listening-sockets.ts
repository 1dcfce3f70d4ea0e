import { closeSync } from 'node:fs'
import { DatagramSocket, listenStream, type SocketAddress } from '@net/netlink-ffi'
import { addRedirect, type Listening } from './redirect.ts'

/** Room for some thousand questions that come while the event loop is busy. */
const UDP_BUFFER_BYTES = 1024 * 1024

/** What serving begins with, in the calling thread's namespace. */
export interface ListeningSockets {
  readonly udp: DatagramSocket
  readonly tcpFd: number
  readonly listening: Listening
}

/**
 * Opens both sockets, on free ports where the port is 0, and, where wanted, leads port 53 there: all of it or nothing.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`), NetlinkError (`ERR_NETLINK`)
 */
export function openSockets(at: SocketAddress, redirect: boolean): ListeningSockets {
  const udp = DatagramSocket.bind(at, { bufferBytes: UDP_BUFFER_BYTES })
  let tcpFd: number | undefined
  try {
    const { fd, localAddress } = listenStream(at)
    tcpFd = fd
    const listening = { address: at.address, udpPort: udp.localAddress.port, tcpPort: localAddress.port }
    if (redirect) addRedirect(listening)
    return { udp, tcpFd, listening }
  } catch (error) {
    udp.close()
    if (tcpFd !== undefined) closeSync(tcpFd)
    throw error
  }
}
