import { Readable } from 'node:stream'
import { isNetError } from '@net/types'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Forward } from '../forward.ts'
import { linesOf, MAX_LINE_BYTES } from './lines.ts'
import { formatMessage, FORWARDS_PER_MESSAGE, parseReply, parseRequest, type ControlRequest } from './messages.ts'

const forward: fc.Arbitrary<Forward> = fc.record({
  protocol: fc.constantFrom('tcp', 'udp'),
  address: fc.constantFrom('::1', '127.0.0.1'),
  port: fc.integer({ min: 1, max: 60_000 }),
  containerAddress: fc.oneof(fc.ipV4(), fc.constant('fd00::2')),
  containerPort: fc.integer({ min: 1, max: 60_000 }),
})
const forwards = fc.array(forward, { maxLength: 5 })
const request: fc.Arbitrary<ControlRequest> = fc.oneof(
  fc.record({ id: fc.nat(), do: fc.constant('change' as const), remove: forwards, add: forwards }),
  fc.record({ id: fc.nat(), do: fc.constant('list' as const), from: fc.nat() }),
)

/** The lines that come out of chunks, or the error that they end with. */
async function read(chunks: readonly Uint8Array[]): Promise<string[]> {
  const lines: string[] = []
  for await (const line of linesOf(Readable.from(chunks, { objectMode: true }))) lines.push(line)
  return lines
}

/** Whether reading does what it may: gives a message, or refuses it. */
function isReadOrRefused(parse: () => unknown): boolean {
  try {
    parse()
    return true
  } catch (error) {
    return isNetError(error, 'ERR_INVALID_CONTROL_MESSAGE')
  }
}

describe('a request', () => {
  it('is read as it was written, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 4 }), fc.integer({ min: 1, max: 50 }), async (requests, size) => {
        const bytes = Buffer.from(requests.map(formatMessage).join(''))
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
          bytes.subarray(at * size, (at + 1) * size),
        )
        expect((await read(chunks)).map(parseRequest)).toEqual(requests)
      }),
      { numRuns: 50 },
    )
  })

  it('fits into a line with as many forwards as it may have, and is refused with more', () => {
    const longest: Forward = {
      protocol: 'tcp',
      address: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
      port: 20_000,
      containerAddress: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
      containerPort: 20_000,
      count: 40_000,
    }
    const full = (length: number): string => {
      const all = Array.from({ length }, () => longest)
      return formatMessage({ id: Number.MAX_SAFE_INTEGER, do: 'change', remove: all, add: all })
    }

    expect(full(FORWARDS_PER_MESSAGE).length).toBeLessThan(MAX_LINE_BYTES)
    expect(parseRequest(full(FORWARDS_PER_MESSAGE))).toMatchObject({ do: 'change' })
    expect(() => parseRequest(full(FORWARDS_PER_MESSAGE + 1))).toThrow('invalid control message: remove')
  })
})

describe('hostile input', () => {
  it('is refused, whatever it is', () => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.jsonValue().map((value) => JSON.stringify(value)),
    )
    fc.assert(
      fc.property(text, (line) => isReadOrRefused(() => parseRequest(line)) && isReadOrRefused(() => parseReply(line))),
    )
  })

  it('is refused where a request has something else in one place', () => {
    fc.assert(
      fc.property(
        forward,
        fc.constantFrom('protocol', 'address', 'port', 'containerPort'),
        fc.jsonValue(),
        (one, member, value) =>
          isReadOrRefused(() =>
            parseRequest(JSON.stringify({ id: 1, do: 'change', remove: [], add: [{ ...one, [member]: value }] })),
          ),
      ),
    )
  })

  it.each([
    ['a member too many', '{"id":1,"do":"list","from":0,"more":1}'],
    ['what nobody does', '{"id":1,"do":"shell","from":0}'],
    ['an id that is none', '{"id":-1,"do":"list","from":0}'],
    [
      'port 0',
      '{"id":1,"do":"change","remove":[],"add":[{"protocol":"tcp","address":"::1","port":0,"containerAddress":"::2","containerPort":1}]}',
    ],
    ['a list without an end', '['.repeat(MAX_LINE_BYTES)],
  ])('is refused: %s', (_what, line) => {
    expect(() => parseRequest(line)).toThrow('invalid control message')
  })

  it.each([
    ['a line without an end', Buffer.alloc(MAX_LINE_BYTES + 1, 'a')],
    ['a line that is too long', Buffer.from(`${'a'.repeat(MAX_LINE_BYTES + 1)}\n`)],
    ['what is no UTF-8', Buffer.from([0xff, 0x0a])],
  ])('is refused as soon as it is known: %s', async (_what, bytes) => {
    await expect(read([bytes])).rejects.toThrow('invalid control message')
  })
})
