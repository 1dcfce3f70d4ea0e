import { describe, expect, it } from 'vitest'
import { decodeFrames, encodeFrame, END, type Frame } from './frames.ts'

const stream = Buffer.concat([
  encodeFrame(1, Buffer.from('key'), Buffer.from('value')),
  encodeFrame(4, Buffer.from('k'), Buffer.alloc(70_000, 7)),
  encodeFrame(END, Buffer.alloc(0), Buffer.alloc(0)),
])

async function decode(bytes: Buffer, chunkBytes: number): Promise<Frame[]> {
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += chunkBytes)
      yield await Promise.resolve(bytes.subarray(at, at + chunkBytes))
  }
  const frames: Frame[] = []
  for await (const frame of decodeFrames(chunks())) frames.push(frame)
  return frames
}

describe('frames', () => {
  it('are table, lengths of key and value, key and value', () => {
    expect(stream.subarray(0, 15).toString('hex')).toBe('01' + '0003' + '00000005' + '6b6579' + '76616c7565')
  })

  it.each([1_000_000, 4096, 1000])('come out as they went in, in pieces of %d bytes', async (chunkBytes) => {
    expect((await decode(stream, chunkBytes)).map(({ table, value }) => [table, value.length])).toEqual([
      [1, 5],
      [4, 70_000],
      [END, 0],
    ])
  })

  it.each([0, 1, 10, stream.length - 1])('are refused when they end after %d bytes', async (length) => {
    await expect(decode(stream.subarray(0, length), 4096)).rejects.toThrow(RangeError)
  })
})
