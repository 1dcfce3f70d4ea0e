import { closeSync } from 'node:fs'
import { DatagramSocket, isErrno, listenStream, type SocketAddress } from '@net/netlink-ffi'
import { addRedirect, findRedirect, type Listening } from './redirect.ts'

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
 * Rules that are there already are led to again, where their ports can be had.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`), NetlinkError (`ERR_NETLINK`)
 */
export function openSockets(at: SocketAddress, redirect: boolean): ListeningSockets {
  const before = redirect && at.port === 0 ? findRedirect(at.address) : undefined
  if (before !== undefined) {
    try {
      return openSocketsAt(at.address, before, redirect)
    } catch (error) {
      if (!isErrno(error, 'EADDRINUSE')) throw error
    }
  }
  return openSocketsAt(at.address, { udpPort: at.port, tcpPort: at.port }, redirect)
}

function openSocketsAt(
  address: string,
  ports: Pick<Listening, 'udpPort' | 'tcpPort'>,
  redirect: boolean,
): ListeningSockets {
  const udp = DatagramSocket.bind({ address, port: ports.udpPort }, { bufferBytes: UDP_BUFFER_BYTES })
  let tcpFd: number | undefined
  try {
    const { fd, localAddress } = listenStream({ address, port: ports.tcpPort })
    tcpFd = fd
    const listening = { address, udpPort: udp.localAddress.port, tcpPort: localAddress.port }
    if (redirect) addRedirect(listening)
    return { udp, tcpFd, listening }
  } catch (error) {
    udp.close()
    if (tcpFd !== undefined) closeSync(tcpFd)
    throw error
  }
}
