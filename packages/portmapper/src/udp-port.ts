import type { AnsweringSocket } from '@net/netlink-ffi'
import { isNetError } from '@net/types'
import type { ServedPort, ServingDeps, Target } from './served-port.ts'
import { UdpFlows } from './udp-flows.ts'

/** Datagrams taken from a socket before others have their turn. */
const BURST = 64

/** Serves a bound socket until closed: what comes in goes on to `target`, and what that answers back. Takes over it. */
export function serveUdpPort(socket: AnsweringSocket, target: Target, { udp, logger }: ServingDeps): ServedPort {
  const flows = new UdpFlows(socket, target, udp)
  const { port } = socket.localAddress
  socket.watch(() => {
    try {
      for (let taken = 0; taken < BURST; taken++) {
        const datagram = socket.receive()
        if (datagram === undefined) return
        flows.pass(datagram)
      }
    } catch (error) {
      // Without descriptors or a way there, UDP loses what it carries.
      logger[isNetError(error, 'ERR_SYSTEM_CALL') ? 'debug' : 'error']({ error, port }, 'a datagram was dropped')
    }
  })
  return {
    port,
    close: () => {
      flows.close()
      socket.close()
      return Promise.resolve()
    },
  }
}
