import { isNetError } from '@net/types'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NetlinkMessage, ReceivedMessage } from '../message.ts'
import { Writer } from '../writer.ts'
import { decodeCount, decodeFlow, deleteFlow, deleteFlowsBy, kernelCanFilter, type Flow } from './flow.ts'
import { flowMatcher } from './flow-matcher.ts'

const flow: Flow = {
  family: 4,
  original: { source: '192.0.2.9', destination: '192.0.2.1', protocol: 17, sourcePort: 40_000, destinationPort: 53 },
  reply: { source: '10.0.0.2', destination: '192.0.2.9', protocol: 17, sourcePort: 5353, destinationPort: 40_000 },
  status: 32,
  id: 1,
  zone: 0,
}

const received = (payload: Uint8Array): ReceivedMessage => ({ type: 0, flags: 0, sequence: 0, port: 0, payload })

/** What follows the netlink header: the kernel answers with attributes of the same layout. */
function payloadOf(message: NetlinkMessage): Uint8Array {
  const writer = new Writer()
  message.write(writer)
  return writer.written().slice()
}

describe('a filter of flows', () => {
  it('that says nothing is refused: it would mean every flow of the host', () => {
    for (const filter of [{ family: 4 }, { family: 6, original: {}, reply: {} }] as const) {
      expect(() => payloadOf(deleteFlowsBy(filter))).toThrow(
        expect.objectContaining({ code: 'ERR_VALUE_OUT_OF_RANGE', kind: 'bad-request' }) as Error,
      )
    }
  })

  it('is not left to the kernel where it names IPv6 addresses', () => {
    expect(kernelCanFilter({ family: 4, reply: { source: '10.0.0.2' } })).toBe(true)
    expect(kernelCanFilter({ family: 6, reply: { protocol: 17, sourcePort: 53 } })).toBe(true)
    expect(kernelCanFilter({ family: 6, reply: { source: 'fd00::2' } })).toBe(false)
    expect(kernelCanFilter({ family: 6, original: { destination: 'fd00::2' } })).toBe(false)
    expect(kernelCanFilter({ family: 4, original: { protocol: 17 }, destinationPorts: { first: 1, last: 2 } })).toBe(
      false,
    )
  })

  it('is passed by flows that have all it names', () => {
    const { original, reply } = flow
    for (const filter of [{ original }, { reply }, { original, reply }, { reply: { source: '10.0.0.2' } }]) {
      expect(
        flowMatcher([
          { family: 4, reply: { source: '10.0.0.9' } },
          { family: 4, ...filter },
        ])(flow),
      ).toBe(true)
    }
    for (const filter of [
      { family: 6, reply },
      { family: 4, reply: { ...reply, sourcePort: 54 } },
    ] as const) {
      expect(flowMatcher([filter])(flow)).toBe(false)
    }
    expect(flowMatcher([{ family: 4, reply, status: { mask: 48, value: 32 } }])(flow)).toBe(true)
    expect(flowMatcher([{ family: 4, reply, status: { mask: 32, value: 0 } }])(flow)).toBe(false)
    expect(flowMatcher([])(flow)).toBe(false)
  })

  it('is passed by flows to the ports of its range', () => {
    const reply = { source: '10.0.0.2', protocol: 17 }
    const ranges = [
      [1, 52],
      [54, 60],
    ].map(([first = 0, last = 0]) => ({ family: 4, reply, destinationPorts: { first, last } }) as const)

    expect(flowMatcher(ranges)(flow)).toBe(false)
    expect(flowMatcher([...ranges, { family: 4, reply, destinationPorts: { first: 53, last: 53 } }])(flow)).toBe(true)
  })
})

describe('an answer about flows', () => {
  it('that is no answer is refused, whatever its bytes are', () => {
    const whole = payloadOf(deleteFlow(flow))
    const damaged = fc.tuple(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length)).map(([at, byte, length]) => {
      const bytes = whole.slice()
      bytes[at] = byte
      return bytes.slice(0, length)
    })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), damaged), (payload) => {
        for (const decode of [decodeFlow, decodeCount]) {
          try {
            decode(received(payload))
          } catch (error) {
            if (!isNetError(error, 'ERR_MALFORMED_MESSAGE')) throw error
          }
        }
      }),
    )
  })
})
