import { closeSync } from 'node:fs'
import { DatagramSocket, listenStream } from '@net/netlink-ffi'
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
 * Opens both sockets on free ports of the address and, where wanted, leads port 53 there: all of it or nothing.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`), NetlinkError (`ERR_NETLINK`)
 */
export function openSockets(address: string, redirect: boolean): ListeningSockets {
  const udp = DatagramSocket.bind({ address, port: 0 }, { bufferBytes: UDP_BUFFER_BYTES })
  let tcpFd: number | undefined
  try {
    const { fd, localAddress } = listenStream({ address, port: 0 })
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
