import { Socket } from 'node:net'
import { connectStream, DatagramSocket, inNamespaceAt, type SocketAddress } from '@net/netlink-ffi'
import packet, { type DecodedPacket, type Packet } from 'dns-packet'

const MAX_REPEATS = 15

/** An A question, or what `changes` make of it, as another encoder writes it. */
export function encodeQuestion(name: string, type = 'A', changes: Partial<Packet> = {}): Uint8Array {
  return packet.encode({
    type: 'query',
    id: Math.floor(Math.random() * 65_536),
    flags: packet.RECURSION_DESIRED,
    questions: [{ name, type: type as 'A' }],
    ...changes,
  })
}

/** An OPT record that says how long answers may be. */
export function edns(udpPayloadSize: number): Partial<Packet> {
  const opt = { type: 'OPT', name: '.', udpPayloadSize, flags: 0, options: [], extendedRcode: 0, ednsVersion: 0 }
  return { additionals: [opt as unknown as NonNullable<Packet['additionals']>[number]] }
}

/** Asks by UDP from a namespace, and again each second, as programs do; the bytes of what comes back. */
export async function askByUdp(key: string, to: SocketAddress, message: Uint8Array): Promise<Uint8Array> {
  using socket = inNamespaceAt(key, () => DatagramSocket.connect(to))
  let times = 0
  // A watched descriptor keeps no process alive; this does.
  let again: NodeJS.Timeout | undefined
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      const attempt = (work: () => void): void => {
        try {
          work()
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      }
      socket.watch(() => {
        attempt(() => {
          const bytes = socket.receive()
          if (bytes !== undefined) resolve(bytes)
        })
      })
      again = setInterval(() => {
        if (++times > MAX_REPEATS) reject(new Error('no reply'))
        else
          attempt(() => {
            socket.send(message)
          })
      }, 1000)
      socket.send(message)
    })
  } finally {
    clearInterval(again)
  }
}

/** Sends messages on one TCP connection from a namespace; what comes back, in the order it comes. */
export async function askByTcp(key: string, to: SocketAddress, messages: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const socket = new Socket({ fd: inNamespaceAt(key, () => connectStream(to)) })
  const framed = messages.map((message) => Buffer.concat([Uint8Array.of(message.length >> 8, message.length), message]))
  socket.write(Buffer.concat(framed))
  let bytes = Buffer.alloc(0)
  const replies: Uint8Array[] = []
  try {
    for await (const piece of socket as AsyncIterable<Buffer>) {
      bytes = Buffer.concat([bytes, piece])
      while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
        const end = 2 + bytes.readUInt16BE(0)
        replies.push(Uint8Array.from(bytes.subarray(2, end)))
        bytes = bytes.subarray(end)
      }
      if (replies.length === messages.length) break
    }
    return replies
  } finally {
    socket.destroy()
  }
}

/** Reads an answer with the other decoder. */
export function decodeAnswer(bytes: Uint8Array): DecodedPacket & { readonly rcode: string } {
  return packet.decode(Buffer.from(bytes)) as DecodedPacket & { rcode: string }
}

/** The addresses an answer gives, in its order. */
export function addressesIn(bytes: Uint8Array): string[] {
  return (decodeAnswer(bytes).answers ?? []).flatMap((record) =>
    record.type === 'A' || record.type === 'AAAA' ? [record.data] : [],
  )
}
