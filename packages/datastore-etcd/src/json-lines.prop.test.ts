import fc from 'fast-check'
import { expect, it } from 'vitest'
import { jsonLines } from './json-lines.ts'

const MAX_BYTES = 1_000

/** The values of a text that comes in pieces that end where they like. */
async function read(text: string, sizes: readonly number[]): Promise<unknown[]> {
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    const bytes = Buffer.from(text)
    for (let at = 0, index = 0; at < bytes.length; index++) {
      const size = sizes[index % sizes.length]!
      yield await Promise.resolve(bytes.subarray(at, at + size))
      at += size
    }
  }
  const values: unknown[] = []
  for await (const value of jsonLines(chunks(), MAX_BYTES)) values.push(value)
  return values
}

it('gives the value of every line, wherever the pieces end', async () => {
  const values = fc.array(fc.jsonValue({ maxDepth: 1 }).filter((value) => JSON.stringify(value).length < 300))
  const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 })
  await fc.assert(
    fc.asyncProperty(values, sizes, async (lines, pieces) => {
      const text = lines.map((value) => `${JSON.stringify(value)}\n`).join('\n')

      expect(await read(text, pieces)).toEqual(JSON.parse(JSON.stringify(lines)))
    }),
  )
})

it('passes over an end that is no line', async () => {
  expect(await read('{"a":1}\n{"b"', [4])).toEqual([{ a: 1 }])
})

it.each([1, 7, 5_000])('holds no more than a line may have, in pieces of %d bytes', async (size) => {
  await expect(read(`"${'a'.repeat(MAX_BYTES)}"\n`, [size])).rejects.toThrow('is too long')
  await expect(read(`"${'a'.repeat(MAX_BYTES)}`, [size])).rejects.toThrow('is too long')
})

it('refuses a line that is no JSON, and quotes its beginning only', async () => {
  await expect(read(`nonsense ${'a'.repeat(100)}\n`, [20])).rejects.toThrow(/^.{1,90}$/)
})
