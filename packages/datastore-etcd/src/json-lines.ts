import { EtcdReplyError, EtcdReplyTooLongError } from './errors.ts'

const NEWLINE = 0x0a

/** The values of a stream that has one JSON text on each line. @throws `ERR_ETCD_REPLY`, `ERR_ETCD_REPLY_TOO_LONG` */
export async function* jsonLines(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator {
  let parts: Uint8Array[] = []
  let length = 0
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      parts.push(chunk.subarray(start, end))
      if (length + end - start > maxBytes) throw new EtcdReplyTooLongError(maxBytes)
      const text = Buffer.concat(parts).toString()
      parts = []
      length = 0
      start = end + 1
      if (text.trim() !== '') yield parseJson(text)
    }
    parts.push(chunk.subarray(start))
    length += chunk.length - start
    if (length > maxBytes) throw new EtcdReplyTooLongError(maxBytes)
  }
}

/** The value of a JSON text. @throws `ERR_ETCD_REPLY` */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // What JSON.parse says quotes the text; how it begins is enough.
    throw new EtcdReplyError(`no JSON: ${JSON.stringify(text.slice(0, 40))}`)
  }
}
