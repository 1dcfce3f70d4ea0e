import { readFileSync } from 'node:fs'
import { isNetError } from '@net/types'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { attributes, bytes, u16, u32, u8, zstring } from './attributes.ts'
import { walkMessages, type ReceivedMessage } from './message.ts'
import { decodeAddress } from './rtnetlink/address.ts'
import { decodeEnds, decodeLink } from './rtnetlink/link.ts'
import { decodeNeighbour } from './rtnetlink/neighbour.ts'
import { decodeRoute } from './rtnetlink/route.ts'
import { Writer } from './writer.ts'

/** Answers of a real kernel (6.18), recorded in a fresh namespace with a bridge and a veth. */
const recorded = JSON.parse(readFileSync(new URL('../test/fixtures/rtnetlink.json', import.meta.url), 'utf8')) as {
  bridge: string
  veth: string
  addresses: string[]
  routes: string[]
  neighbours: string[]
}

const message = (payload: Uint8Array): ReceivedMessage => ({ type: 0, flags: 0, sequence: 0, port: 0, payload })
const recordedMessage = (base64: string): ReceivedMessage => message(Uint8Array.from(Buffer.from(base64, 'base64')))

/** Runs `read`; a refusal of malformed bytes is fine, anything else is not. */
function refusesAtMost(read: () => unknown): void {
  try {
    read()
  } catch (error) {
    if (!isNetError(error, 'ERR_MALFORMED_MESSAGE')) throw error
  }
}

describe('what the kernel sent', () => {
  it('is read as ip shows it', () => {
    expect(decodeLink(recordedMessage(recorded.bridge))).toMatchObject({
      name: 'br-fixture',
      kind: 'bridge',
      up: true,
      mtu: 1500, // its port's, though it was made with 1400: an MTU set on a bridge that is there would stick
      macAddress: '02:42:00:00:00:01',
      alias: 'net:fixture',
      master: undefined,
    })
    expect(decodeLink(recordedMessage(recorded.veth))).toMatchObject({
      name: 'vethfixture',
      kind: 'veth',
      alias: undefined,
    })
    expect(recorded.addresses.map((one) => decodeAddress(recordedMessage(one)).address)).toEqual(
      expect.arrayContaining(['10.1.0.1/24', 'fd01::1/64']),
    )
    expect(recorded.routes.map((one) => decodeRoute(recordedMessage(one)))).toContainEqual(
      expect.objectContaining({ destination: '10.2.0.0/16', gateway: '10.1.0.2' }),
    )
    expect(recorded.neighbours.map((one) => decodeNeighbour(recordedMessage(one)))).toContainEqual(
      expect.objectContaining({ address: '10.1.0.9', macAddress: '02:00:00:00:00:09' }),
    )
  })
})

describe('hostile bytes', () => {
  const decoders = { decodeLink, decodeEnds, decodeAddress, decodeRoute, decodeNeighbour }
  const samples = [recorded.bridge, recorded.veth, ...recorded.addresses, ...recorded.routes, ...recorded.neighbours]

  it.each(Object.entries(decoders))('%s refuses them as malformed, or reads what it can', (_, decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (payload) => {
        refusesAtMost(() => decode(message(payload)))
      }),
      { numRuns: 2000 },
    )
  })

  it.each(Object.entries(decoders))('%s survives any byte of a real message being another', (_, decode) => {
    fc.assert(
      fc.property(
        fc.constantFrom(...samples),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        fc.nat(),
        (sample, changes, cut) => {
          const { payload } = recordedMessage(sample)
          for (const [at, value] of changes) payload[at % payload.length] = value
          refusesAtMost(() => decode(message(payload.subarray(0, payload.length - (cut % 8)))))
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('are no messages, or messages that lie within them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (datagram) => {
        refusesAtMost(() => {
          walkMessages(datagram, ({ payload }) => {
            expect(payload.length).toBeLessThanOrEqual(datagram.length)
          })
        })
      }),
      { numRuns: 2000 },
    )
  })
})

describe('attributes', () => {
  it('are read as they were written', () => {
    const codec = attributes({
      small: [1, u8],
      medium: [2, u16],
      large: [3, u32],
      text: [4, zstring],
      raw: [5, bytes],
      inner: [6, attributes({ large: [1, u32], text: [2, zstring] })],
    })
    const text = fc.string({ unit: 'binary', maxLength: 40 }).filter((value) => !value.includes('\0'))
    const arbitrary = fc.record(
      {
        small: fc.integer({ min: 0, max: 255 }),
        medium: fc.integer({ min: 0, max: 65_535 }),
        large: fc.integer({ min: 0, max: 0xffffffff }),
        text,
        raw: fc.uint8Array({ maxLength: 50 }),
        inner: fc.record({ large: fc.integer({ min: 0, max: 0xffffffff }), text }, { requiredKeys: [] }),
      },
      { requiredKeys: [] },
    )

    fc.assert(
      fc.property(arbitrary, (values) => {
        const writer = new Writer()
        codec.write(writer, values)
        expect(codec.read(writer.written())).toEqual(values)
      }),
    )
  })
})
