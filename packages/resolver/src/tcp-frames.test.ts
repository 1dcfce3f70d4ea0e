import fc from 'fast-check'
import { expect, it } from 'vitest'
import { frame, FrameReader } from './tcp-frames.ts'

/** The messages that are whole with this piece. */
function take(reader: FrameReader, piece: Buffer): Uint8Array[] {
  reader.push(piece)
  const messages: Uint8Array[] = []
  for (let message = reader.next(); message !== undefined; message = reader.next()) messages.push(message)
  return messages
}

it('puts messages together however they were cut', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 })
  fc.assert(
    fc.property(
      messages,
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 30 }),
      (sent, sizes) => {
        const stream = Buffer.concat(sent.map(frame))
        const reader = new FrameReader()
        const received: Uint8Array[] = []

        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const size = sizes[turn % sizes.length]!
          received.push(...take(reader, stream.subarray(at, at + size)))
          at += size
        }

        expect(received).toEqual(sent.map((message) => Uint8Array.from(message)))
      },
    ),
  )
})

it('takes a message of the greatest length byte by byte in no time', () => {
  const stream = frame(new Uint8Array(65_535))
  const reader = new FrameReader()
  const found = Array.from(stream, (byte) => take(reader, Buffer.of(byte))).flat()

  expect(found.map(({ length }) => length)).toEqual([65_535])
})

it('takes many messages in one piece, and gives them one at a time', () => {
  const reader = new FrameReader()
  reader.push(Buffer.concat([frame(Uint8Array.of(1)), frame(Uint8Array.of(2)), Buffer.of(0)]))

  expect([reader.next(), reader.next(), reader.next()]).toEqual([Uint8Array.of(1), Uint8Array.of(2), undefined])
  reader.push(Buffer.of(1, 3))
  expect([reader.next(), reader.next()]).toEqual([Uint8Array.of(3), undefined])
})
