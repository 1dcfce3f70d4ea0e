import packet from 'dns-packet'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { encodeName, readName } from './domain-name.ts'
import { fitMessage } from './fit.ts'
import { readMessage } from './message.ts'
import { readQuery, type Query } from './query.ts'
import { encodeReply, type ResourceRecord } from './reply.ts'

const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/)
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join('.'))
const ttl = fc.integer({ min: 0, max: 0x7fffffff })
const record: fc.Arbitrary<ResourceRecord> = fc.oneof(
  fc.record({ type: fc.constant('A' as const), address: fc.ipV4(), ttl }),
  fc.record({ type: fc.constant('AAAA' as const), address: fc.constantFrom('::1', 'fd00::1:2', '2001:db8::'), ttl }),
  fc.record({ type: fc.constant('PTR' as const), target: name, ttl }),
  fc.record({ type: fc.constant('SRV' as const), target: name, port: fc.integer({ min: 0, max: 65_535 }), ttl, name }),
)
const id = fc.integer({ min: 0, max: 65_535 })
const opt = (udpPayloadSize: number): object => ({
  additionals: [{ type: 'OPT', name: '.', udpPayloadSize, flags: 0, options: [], extendedRcode: 0, ednsVersion: 0 }],
})

function queryOf(bytes: Uint8Array): Query {
  const read = readQuery(bytes)
  if (read.kind !== 'query') throw new Error(read.kind)
  return read.query
}

/** Bytes that look like a message for some way, and then no longer. */
const damaged = fc
  .tuple(
    name,
    fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
    fc.nat(),
    fc.uint8Array({ maxLength: 40 }),
  )
  .map(([asked, changes, cut, tail]) => {
    const bytes = packet.encode({ type: 'query', questions: [{ name: asked, type: 'A' }], ...opt(1232) })
    for (const [at, byte] of changes) bytes[at % bytes.length] = byte
    return Buffer.concat([bytes.subarray(0, 1 + (cut % bytes.length)), tail])
  })

it('never throws for a question, whatever came in', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), damaged), (bytes) => {
      expect(['query', 'refused', 'ignored']).toContain(readQuery(bytes).kind)
    }),
    { numRuns: 5000 },
  )
})

it('reads a message or says that it is malformed, whatever came in', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), damaged), (bytes) => {
      try {
        const { records } = readMessage(bytes)
        expect(records.at(-1)?.end ?? bytes.length).toBe(bytes.length)
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_MALFORMED_DNS_MESSAGE' })
      }
    }),
    { numRuns: 5000 },
  )
})

it('reads names as they were written, whatever bytes they have', () => {
  const bytes = fc
    .array(fc.uint8Array({ minLength: 1, maxLength: 63 }), { minLength: 1, maxLength: 4 })
    .map((labels) =>
      Uint8Array.from([...new Uint8Array(12), ...labels.flatMap((content) => [content.length, ...content]), 0]),
    )
  fc.assert(
    fc.property(
      bytes.filter(({ length }) => length - 12 <= 255),
      (message) => {
        const read = readName(message, 12)
        expect(encodeName(read.name)).toEqual(message.slice(12))
        expect(read.next).toBe(message.length)
      },
    ),
  )
})

it('writes answers that another decoder reads as they were meant', () => {
  fc.assert(
    fc.property(id, name, fc.array(record, { maxLength: 20 }), fc.boolean(), (number, asked, answers, edns) => {
      const bytes = packet.encode({
        type: 'query',
        id: number,
        questions: [{ name: asked, type: 'A' }],
        ...(edns ? opt(4096) : {}),
      })

      const read = packet.decode(Buffer.from(encodeReply(queryOf(bytes), { code: 'NOERROR', answers })))

      expect(read).toMatchObject({ id: number, type: 'response', questions: [{ name: asked, type: 'A' }] })
      expect(read.answers).toMatchObject(
        answers.map((answer) => ({
          type: answer.type,
          name: answer.name ?? asked,
          ttl: answer.ttl,
          ...expected(answer),
        })),
      )
      expect(read.additionals).toHaveLength(edns ? 1 : 0)
    }),
  )
})

function expected(record: ResourceRecord): object {
  switch (record.type) {
    case 'A':
      return { data: record.address }
    case 'AAAA':
      return {}
    case 'PTR':
      return { data: record.target }
    case 'SRV':
      return { data: { priority: 0, weight: 0, port: record.port, target: record.target } }
    case 'HINFO':
      return {}
  }
}

it('cuts an answer to any limit, never beyond it, and says so where an answer is missing', () => {
  const many = fc.array(record, { maxLength: 60 })
  fc.assert(
    fc.property(many, many, fc.integer({ min: 512, max: 1500 }), fc.boolean(), (answers, additionals, limit, edns) => {
      const asked = packet.encode({ type: 'query', questions: [{ name: 'web', type: 'A' }], ...(edns ? opt(512) : {}) })
      const whole = encodeReply(queryOf(asked), { code: 'NOERROR', answers, additionals })

      const cut = fitMessage(whole, limit)
      const read = packet.decode(Buffer.from(cut))

      expect(cut.length).toBeLessThanOrEqual(Math.max(limit, 12))
      expect(read.flag_tc).toBe((read.answers?.length ?? 0) < answers.length)
      expect(read.additionals?.some(({ type }) => type === 'OPT') ?? false).toBe(edns)
      expect(readMessage(cut).records).toHaveLength((read.answers?.length ?? 0) + (read.additionals?.length ?? 0))
    }),
  )
})
