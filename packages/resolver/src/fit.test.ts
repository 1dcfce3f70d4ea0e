import packet, { type Answer } from 'dns-packet'
import { expect, it } from 'vitest'
import { fitMessage } from './fit.ts'
import { readMessage } from './message.ts'

const question = { name: 'web.example', type: 'A' } as const
const opt = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: 1232,
  flags: 0,
  options: [],
  extendedRcode: 0,
  ednsVersion: 0,
} as unknown as Answer
const records = (count: number, name = 'web.example'): Answer[] =>
  Array.from({ length: count }, (_, at) => ({ type: 'A', name, ttl: 60, data: `10.0.0.${at}` }))

/** How many records of each section an answer has, how many of the last are OPT, and whether it says it was cut. */
function shape(bytes: Uint8Array): unknown[] {
  const { answers = [], authorities = [], additionals = [], flag_tc: cut } = packet.decode(Buffer.from(bytes))
  const opts = additionals.filter(({ type }) => type === 'OPT').length
  return [answers.length, authorities.length, additionals.length, opts, cut]
}

it('leaves an answer that fits as it is', () => {
  const bytes = packet.encode({ type: 'response', questions: [question], answers: records(3) })

  expect(fitMessage(bytes, 512)).toBe(bytes)
})

it.each([
  [
    'additional records first, silently',
    { answers: records(5), additionals: [...records(30), opt] },
    [5, 0, 13, 1, false],
  ],
  ['answers last, and says so', { answers: records(40), additionals: [...records(3), opt] }, [17, 0, 1, 1, true]],
  [
    'what follows an OPT record in the middle',
    { additionals: [...records(2), opt, ...records(30)] },
    [0, 0, 3, 1, false],
  ],
  ['what follows an OPT record at the beginning', { additionals: [opt, ...records(40)] }, [0, 0, 1, 1, false]],
  ['authorities, and says so', { authorities: records(40) }, [0, 17, 0, 0, true]],
])('drops %s', (_what, sections, expected) => {
  const bytes = packet.encode({ type: 'response', questions: [question], ...sections })

  const cut = fitMessage(bytes, 512)

  expect(shape(cut)).toEqual(expected)
  expect(cut.length).toBeLessThanOrEqual(512)
  expect(() => readMessage(cut)).not.toThrow()
})

it('drops an OPT record that leaves no room for anything else', () => {
  const options = [{ code: 'PADDING', length: 600 }]
  const bytes = packet.encode({
    type: 'response',
    questions: [question],
    answers: records(3),
    additionals: [{ ...opt, options } as unknown as Answer],
  })

  const cut = fitMessage(bytes, 512)

  expect(shape(cut)).toEqual([3, 0, 0, 0, false])
})
