import { isNetError } from '@net/types'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NetlinkMessage, ReceivedMessage } from '../message.ts'
import { Writer } from '../writer.ts'
import { addChain, decodeChain } from './chain.ts'
import { addElements, decodeElements } from './element.ts'
import { nftExpression } from './expressions.ts'
import { addRule, decodeRule } from './rule.ts'
import { CommitReader } from './rule-events.ts'
import { addSet, decodeSet, type NftSet } from './set.ts'
import { addTable, decodeTable } from './table.ts'

const { and, cmp, ct, lookup, meta, nat, verdict } = nftExpression

const table = { family: 'inet', name: 'net' } as const
const chain = { table, name: 'one' }
const map: NftSet = { table, name: 'ports', key: ['ipv6_addr', 'inet_service'], data: ['ipv4_addr', 'mark'] }
const verdicts: NftSet = { table, name: 'to', key: ['ifname'], data: 'verdict' }

const received = (payload: Uint8Array): ReceivedMessage => ({ type: 0, flags: 0, sequence: 0, port: 0, payload })

/** What follows the netlink header: the kernel answers with attributes of the same layout. */
function payloadOf(message: NetlinkMessage | undefined): Uint8Array {
  const writer = new Writer()
  message?.write(writer)
  return writer.written().slice()
}

/** Runs `read`; a refusal of malformed bytes is fine, anything else is not. */
function refusesAtMost(read: () => unknown): void {
  try {
    read()
  } catch (error) {
    if (!isNetError(error, 'ERR_MALFORMED_MESSAGE')) throw error
  }
}

const decoders: Readonly<Record<string, (message: ReceivedMessage) => unknown>> = {
  decodeTable,
  decodeChain,
  decodeRule,
  decodeSet,
  'the reports of a commit': (message) => {
    const reader = new CommitReader()
    for (const operation of [1, 2, 3, 8, 9, 12, 14, 15]) reader.take({ ...message, type: 0xa00 | operation })
  },
  'decodeElements of a map': (message) => decodeElements(map, message),
  'decodeElements of verdicts': (message) => decodeElements(verdicts, message),
}

const samples = [
  addTable({ ...table, comment: 'me' }),
  addChain({ ...chain, base: { type: 'nat', hook: 'output', priority: -100, policy: 'drop' }, comment: 'c' }),
  addRule({
    chain,
    comment: 'c',
    expressions: [
      meta('iifname'),
      cmp('eq', new Uint8Array(16)),
      ct('state'),
      and(new Uint8Array(4)),
      lookup('ports', { into: 0 }),
      nat('dnat', { family: 4, addressSlot: 0, portSlot: 1 }),
      verdict('jump to'),
    ],
  }),
  addSet({ ...map, comment: 'c' }),
  ...addElements(map, [{ key: ['fd00::1', 80], data: ['10.0.0.1', 5], comment: 'c' }]),
  ...addElements(verdicts, [{ key: ['br0'], data: 'goto to' }]),
].map(payloadOf)

describe('hostile bytes', () => {
  it.each(Object.entries(decoders))('%s refuses them as malformed, or reads what it can', (_, decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (payload) => {
        refusesAtMost(() => decode(received(payload)))
      }),
      { numRuns: 2000 },
    )
  })

  it.each(Object.entries(decoders))('%s survives any byte of a real message being another', (_, decode) => {
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        fc.nat({ max: 7 }),
        (sample, changes, cut) => {
          const payload = sample.slice()
          for (const [at, value] of changes) payload[at % payload.length] = value
          refusesAtMost(() => decode(received(payload.subarray(0, payload.length - cut))))
        },
      ),
      { numRuns: 2000 },
    )
  })
})

describe('elements', () => {
  it('are read as they were written, over as many messages as it takes', () => {
    const address = fc.tuple(fc.nat({ max: 255 }), fc.nat({ max: 255 })).map(([one, two]) => `10.0.${one}.${two}`)
    const element = fc.record({
      key: fc.tuple(fc.nat({ max: 255 }), fc.nat({ max: 65_535 })),
      data: fc.tuple(address, fc.nat({ max: 0xffffffff })),
    })
    const set: NftSet = { ...map, key: ['inet_proto', 'inet_service'] }

    fc.assert(
      fc.property(fc.array(element, { maxLength: 50 }), fc.constantFrom(1, 100), (some, times) => {
        const elements = Array.from({ length: times }, () => some).flat()

        const read = addElements(set, elements).flatMap((message) => decodeElements(set, received(payloadOf(message))))

        expect(read).toEqual(elements.map((one) => ({ ...one, isIntervalEnd: false })))
      }),
      { numRuns: 50 },
    )
  })
})
