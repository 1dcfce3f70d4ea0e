/** RFC 1035, 4.2.2: each message on TCP follows its length in two bytes. */
const LENGTH_BYTES = 2

/** Takes a stream apart into messages, however it is cut into pieces. */
export class FrameReader {
  #pieces: Buffer[] = []
  #length = 0
  /** Bytes that have to be there before there is anything to do: many small pieces are put together once. */
  #needed = LENGTH_BYTES

  /** Takes what came in. */
  push(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#length += piece.length
  }

  /** The next message; undefined until it is whole. */
  next(): Uint8Array | undefined {
    if (this.#length < this.#needed) return undefined
    const bytes = this.#joined()
    const end = LENGTH_BYTES + bytes.readUInt16BE(0)
    this.#needed = end
    if (bytes.length < end) return undefined
    this.#pieces = [bytes.subarray(end)]
    this.#length -= end
    this.#needed = LENGTH_BYTES
    return Uint8Array.from(bytes.subarray(LENGTH_BYTES, end))
  }

  #joined(): Buffer {
    const [first] = this.#pieces
    const bytes = first !== undefined && this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces)
    this.#pieces = [bytes]
    return bytes
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
