/** A record on its way from one file to another. */
export interface Frame {
  /** Number of its table: see `TABLE_NAMES`. */
  readonly table: number
  readonly key: Buffer
  readonly value: Buffer
}

/** Table number of the last frame: without it, something is missing. */
export const END = 255

/** Table (1 byte), length of the key (2), length of the value (4). `probe-child.mjs` writes the same. */
const HEAD_BYTES = 7

export function encodeFrame(table: number, key: Uint8Array, value: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt8(table)
  head.writeUInt16BE(key.length, 1)
  head.writeUInt32BE(value.length, 3)
  return Buffer.concat([head, key, value])
}

/** The frames in a stream of bytes, the end included. Throws where the stream stops before it. */
export async function* decodeFrames(chunks: AsyncIterable<Buffer>): AsyncGenerator<Frame> {
  let rest = Buffer.alloc(0)
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk])
    for (let frame = firstFrame(rest); frame !== undefined; frame = firstFrame(rest)) {
      rest = rest.subarray(HEAD_BYTES + frame.key.length + frame.value.length)
      yield frame
      if (frame.table === END) return
    }
  }
  throw new RangeError('the stream of records ends too early')
}

function firstFrame(bytes: Buffer): Frame | undefined {
  if (bytes.length < HEAD_BYTES) return undefined
  const keyEnd = HEAD_BYTES + bytes.readUInt16BE(1)
  const end = keyEnd + bytes.readUInt32BE(3)
  if (bytes.length < end) return undefined
  return { table: bytes.readUInt8(), key: bytes.subarray(HEAD_BYTES, keyEnd), value: bytes.subarray(keyEnd, end) }
}
