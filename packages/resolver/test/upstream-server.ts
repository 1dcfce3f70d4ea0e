import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { DatagramBatch, DatagramSocket, inNamespaceAt, listenStream, type SocketAddress } from '@net/netlink-ffi'
import packet, { type DecodedPacket, type Packet } from 'dns-packet'

/** What a server says to a question: nothing, one thing, or several. On TCP `reset` breaks the connection off. */
export type Behaviour = (
  query: DecodedPacket,
  transport: 'udp' | 'tcp',
) => undefined | 'reset' | Uint8Array | readonly Uint8Array[]

/** A small real DNS server that behaves as it is told. */
export interface TestUpstream extends AsyncDisposable {
  readonly address: SocketAddress
  /** The questions that came, `udp web A`. */
  readonly heard: string[]
  /** Resolves when the next question has come. */
  nextQuestion(): Promise<void>
}

/** Where a server is: a loopback address, and the namespace at `key` or the test's own. */
export interface UpstreamPlace {
  readonly key?: string
  readonly loopback?: string
}

/** Starts a server. */
export async function startUpstream(behave: Behaviour, place: UpstreamPlace = {}): Promise<TestUpstream> {
  const { key, loopback = '127.0.0.53' } = place
  const within = <T>(work: () => T): T => (key === undefined ? work() : inNamespaceAt(key, work as () => never))
  const { fd, localAddress: address } = within(() => listenStream({ address: loopback, port: 0 }))
  const udp = within(() => DatagramSocket.bind(address))
  const heard: string[] = []
  let waiting: (() => void)[] = []
  const hear = (bytes: Uint8Array, transport: 'udp' | 'tcp'): ReturnType<Behaviour> => {
    const query = packet.decode(Buffer.from(bytes))
    heard.push(`${transport} ${query.questions?.[0]?.name ?? ''} ${query.questions?.[0]?.type ?? ''}`)
    for (const resolve of waiting.splice(0)) resolve()
    return behave(query, transport)
  }

  const batch = new DatagramBatch()
  udp.watch(() => {
    const count = udp.receiveBatch(batch)
    for (let at = 0; at < count; at++) {
      const said = hear(batch.received.slice(batch.start(at), batch.start(at) + batch.length(at)), 'udp')
      for (const reply of listOf(said)) udp.sendTo(reply, batch.sender(at))
    }
  })
  const connections = new Set<Socket>()
  const server = createServer((socket) => {
    connections.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', (bytes: Buffer) => {
      const said = hear(bytes.subarray(2), 'tcp')
      if (said === 'reset') socket.resetAndDestroy()
      for (const reply of listOf(said)) {
        socket.write(Uint8Array.of(reply.length >> 8, reply.length & 0xff))
        socket.write(reply)
      }
    })
  })
  server.listen({ fd })
  await once(server, 'listening')
  return {
    address,
    heard,
    nextQuestion: () =>
      new Promise((resolve) => {
        waiting = [...waiting, resolve]
      }),
    [Symbol.asyncDispose]: async () => {
      udp.close()
      for (const socket of connections) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function listOf(said: ReturnType<Behaviour>): readonly Uint8Array[] {
  if (said === undefined || said === 'reset') return []
  return said instanceof Uint8Array ? [said] : said
}

/** An answer to a question, as another encoder writes it. */
export function reply(query: DecodedPacket, changes: Partial<Packet> & { readonly rcode?: number } = {}): Uint8Array {
  const { rcode = 0, ...others } = changes
  return packet.encode({
    type: 'response',
    id: query.id ?? 0,
    flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | rcode,
    questions: query.questions ?? [],
    ...others,
  })
}

/** An answer that gives addresses. */
export function addresses(query: DecodedPacket, data: readonly string[], ttl = 60): Uint8Array {
  const name = query.questions?.[0]?.name ?? ''
  return reply(query, { answers: data.map((address) => ({ type: 'A', name, ttl, data: address })) })
}
