import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A way to a server that can be cut. */
export interface CutConnection extends AsyncDisposable {
  readonly endpoint: string
  /** Lets the next request through, and cuts the connection when the answer comes back. */
  cutBehindNextRequest(): void
}

/** Leads to the server at `endpoint`. */
export async function startCutConnection(endpoint: string): Promise<CutConnection> {
  let isArmed = false
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(Number(new URL(endpoint).port), '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      // A connection that is cut ends with an error at one side or the other.
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    }
    near.pipe(far)
    far.on('data', (data) => {
      if (isArmed) near.destroy()
      else near.write(data)
      isArmed = false
    })
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cutBehindNextRequest() {
      isArmed = true
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await once(server.close(), 'close')
    },
  }
}
