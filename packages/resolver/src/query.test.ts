import packet, { type Packet } from 'dns-packet'
import { describe, expect, it } from 'vitest'
import { readQuery, type ReadQuery } from './query.ts'

const question = { name: 'web', type: 'A' } as const

/** What becomes of a message: `query`, `ignored`, or the code it is refused with. */
function fateOf(bytes: Uint8Array): string {
  const read: ReadQuery = readQuery(bytes)
  return read.kind === 'refused' ? read.code : read.kind
}

function encode(changes: Partial<Packet>): Buffer {
  return packet.encode({ type: 'query', questions: [question], ...changes })
}

function withBytes(bytes: Buffer, changes: Readonly<Record<number, number>>): Buffer {
  const changed = Buffer.from(bytes)
  for (const [at, byte] of Object.entries(changes)) changed[Number(at)] = byte
  return changed
}

const opt = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: 100,
  flags: 0x8000,
  options: [],
  extendedRcode: 0,
  ednsVersion: 0,
} as unknown as NonNullable<Packet['additionals']>[number]

/** An OPT record that makes a question this long. */
function padded(length: number): typeof opt {
  const bytes = length - encode({ additionals: [opt] }).length - 4
  return { ...opt, options: [{ code: 'PADDING', length: bytes }] } as unknown as typeof opt
}

describe('a message that comes in', () => {
  const plain = encode({})

  it.each([
    ['is a question', plain, 'query'],
    ['is shorter than a header', plain.subarray(0, 11), 'ignored'],
    ['is an answer', encode({ type: 'response' }), 'ignored'],
    ['asks nothing', encode({ questions: [] }), 'ignored'],
    ['asks twice', encode({ questions: [question, question] }), 'FORMERR'],
    ['is an update', withBytes(plain, { 2: 5 << 3 }), 'NOTIMP'],
    ['brings an answer along', encode({ answers: [{ type: 'A', name: 'web', data: '10.0.0.1' }] }), 'FORMERR'],
    ['is cut short', plain.subarray(0, plain.length - 1), 'FORMERR'],
    ['goes on behind its end', Buffer.concat([plain, Buffer.of(0)]), 'FORMERR'],
    ['says that it has a record it has not', withBytes(plain, { 11: 1 }), 'FORMERR'],
    ['is of the class of chaos', encode({ questions: [{ ...question, class: 'CH' }] }), 'REFUSED'],
    ['asks for a whole zone', encode({ questions: [{ name: 'web', type: 'AXFR' }] }), 'REFUSED'],
    ['asks for everything', encode({ questions: [{ name: 'web', type: 'ANY' as 'A' }] }), 'query'],
    ['has two OPT records', encode({ additionals: [opt, opt] }), 'FORMERR'],
    ['is as long as it may be', encode({ additionals: [padded(2048)] }), 'query'],
    ['is longer than it may be', encode({ additionals: [padded(2049)] }), 'REFUSED'],
    ['is of EDNS 1', withBytes(encode({ additionals: [opt] }), { 27: 1 }), 'BADVERS'],
  ])('that %s', (_what, bytes, fate) => {
    expect(fateOf(bytes)).toBe(fate)
  })

  it('says how long an answer may be, and never less than 512', () => {
    expect(readQuery(encode({ additionals: [opt] }))).toMatchObject({
      query: { question: { name: 'web', type: 1, class: 1 }, edns: { udpBytes: 512, dnssec: true, hasOptions: false } },
    })
  })
})
