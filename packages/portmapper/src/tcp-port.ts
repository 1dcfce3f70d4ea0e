import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { ServedPort, ServingDeps, Target } from './served-port.ts'

/** Serves a listening socket until closed: every connection is one to `target`. Takes over fd. */
export async function serveTcpPort(
  fd: number,
  target: Target,
  { logger }: Pick<ServingDeps, 'logger'>,
): Promise<ServedPort> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, keepAlive: true, noDelay: true }, (client) => {
    relay(client, target, sockets)
  })
  server.listen({ fd })
  await once(server, 'listening')
  server.on('error', (error) => {
    logger.error({ err: error }, 'accepting a connection failed')
  })
  return { port: (server.address() as AddressInfo).port, close: () => closeAll(server, sockets) }
}

/**
 * Both directions go at the pace of whoever reads, and each ends by itself: who has sent everything may go on reading.
 * What breaks off on one side breaks off on the other, so that nobody takes a part for the whole.
 */
function relay(client: Socket, target: Target, sockets: Set<Socket>): void {
  const backend = connect({ ...target, allowHalfOpen: true, keepAlive: true, noDelay: true })
  for (const [from, to] of [
    [client, backend],
    [backend, client],
  ] as const) {
    sockets.add(from)
    from.once('close', () => sockets.delete(from))
    from.on('error', () => {
      breakOff(to)
    })
    from.pipe(to)
  }
}

function breakOff(socket: Socket): void {
  if (socket.connecting) socket.destroy()
  else socket.resetAndDestroy()
}

async function closeAll(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  for (const socket of sockets) breakOff(socket)
  await closed
}
