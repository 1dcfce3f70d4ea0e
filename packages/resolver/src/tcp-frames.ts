/** RFC 1035, 4.2.2: each message on TCP follows its length in two bytes. */
const LENGTH_BYTES = 2

/** Takes a stream apart into messages, however it is cut into pieces. */
export class FrameReader {
  #pieces: Buffer[] = []
  #length = 0
  /** Bytes that have to be there before there is anything to do: many small pieces are put together once. */
  #needed = LENGTH_BYTES

  /** The messages that are whole with this piece. */
  push(piece: Buffer): Uint8Array[] {
    this.#pieces.push(piece)
    this.#length += piece.length
    if (this.#length < this.#needed) return []
    let bytes = Buffer.concat(this.#pieces)
    const messages: Uint8Array[] = []
    for (;;) {
      this.#needed = bytes.length < LENGTH_BYTES ? LENGTH_BYTES : LENGTH_BYTES + bytes.readUInt16BE(0)
      if (bytes.length < this.#needed) break
      messages.push(Uint8Array.from(bytes.subarray(LENGTH_BYTES, this.#needed)))
      bytes = bytes.subarray(this.#needed)
    }
    this.#pieces = [bytes]
    this.#length = bytes.length
    return messages
  }
}

/** A message behind its length. */
export function frame(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(LENGTH_BYTES + message.length)
  framed[0] = message.length >> 8
  framed[1] = message.length & 0xff
  framed.set(message, LENGTH_BYTES)
  return framed
}
