import { InvalidControlMessageError } from '../errors.ts'

/** No message of the protocol is longer. */
export const MAX_LINE_BYTES = 64 * 1024

const NEWLINE = 0x0a

/** The lines of a stream, read as fast as they are taken. @throws InvalidControlMessageError (`ERR_INVALID_CONTROL_MESSAGE`) */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Uint8Array = new Uint8Array()
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk])
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      yield textOf(rest.subarray(0, end))
      rest = rest.subarray(end + 1)
    }
    checkLength(rest)
  }
}

function textOf(line: Uint8Array): string {
  checkLength(line)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(line)
  } catch {
    // The decoder says no more than this.
    throw new InvalidControlMessageError('expected UTF-8')
  }
}

function checkLength({ length }: Uint8Array): void {
  if (length > MAX_LINE_BYTES) throw new InvalidControlMessageError(`expected lines of up to ${MAX_LINE_BYTES} bytes`)
}
