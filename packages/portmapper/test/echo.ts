import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** A server of a container: something that answers, and whom it has answered. */
export interface Echo extends AsyncDisposable {
  readonly port: number
}

/** Answers connections with what they say, and ends its side when they do. */
export async function tcpEcho(host: string): Promise<Echo & { readonly sockets: ReadonlySet<Socket> }> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    socket.pipe(socket)
  })
  await listening(server, host)
  return {
    sockets,
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Answers datagrams with what they say. */
export async function udpEcho(address: string, port = 0): Promise<Echo> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', (message, from) => {
    socket.send(message, from.port, from.address)
  })
  socket.bind(port, address)
  await once(socket, 'listening')
  return {
    port: socket.address().port,
    [Symbol.asyncDispose]: async () => {
      socket.close()
      await once(socket, 'close')
    },
  }
}

/** A connection to there. */
export async function connected(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port, allowHalfOpen: true })
  await once(socket, 'connect')
  return socket
}

/** Says something and hears what comes back, on a connection that stays open. */
export async function exchange(socket: Socket, text: string): Promise<string> {
  socket.write(text)
  let heard = ''
  while (heard.length < text.length) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    heard += chunk.toString()
  }
  return heard
}

/** All that the other side says. The socket stays open: reading it as a stream would end both directions. */
export async function heardFrom(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'end')
  return Buffer.concat(chunks)
}

/** A UDP socket that hears only whom it asks, on a port of its own. */
export async function udpClient(host: string, port: number): Promise<UdpSocket & AsyncDisposable> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.on('error', () => undefined) // nobody listens yet
  socket.connect(port, host)
  await once(socket, 'connect')
  return Object.assign(socket, {
    [Symbol.asyncDispose]: async () => {
      socket.close()
      await once(socket, 'close')
    },
  })
}

/** Asks by a datagram, again as long as nobody answers. */
export async function ask(socket: UdpSocket, text: string): Promise<string> {
  const again = setInterval(() => {
    socket.send(text)
  }, 50)
  try {
    socket.send(text)
    const [answer] = (await once(socket, 'message')) as [Buffer]
    return answer.toString()
  } finally {
    clearInterval(again)
  }
}

async function listening(server: Server, host: string): Promise<void> {
  server.listen(0, host)
  await once(server, 'listening')
}
