import { expect, it } from 'vitest'
import { ReadyAnswers } from './ready-answers.ts'

/** Something as long as a query, that asks about a number. */
function queryAbout(number: number): Uint8Array {
  const query = new Uint8Array(20)
  new DataView(query.buffer).setUint32(12, number)
  return query
}

it('gives an answer only when there are all of them, and encodes each once', () => {
  const ready = new ReadyAnswers()
  const query = queryAbout(1)
  const encoded: number[] = []
  const encode = (rotation: number): Uint8Array => {
    encoded.push(rotation)
    return Uint8Array.of(rotation)
  }

  ready.encodeNext(query, 2, encode)
  expect(ready.find(query, 0, query.length)).toBeUndefined()
  ready.encodeNext(query, 2, encode)

  expect([1, 2, 3].map(() => ready.find(query, 0, query.length)?.[0])).toEqual([0, 1, 0])
  expect(encoded).toEqual([0, 1])
})

it('finds a query in the middle of other bytes, whatever its first two are', () => {
  const ready = new ReadyAnswers()
  ready.encodeNext(queryAbout(1), 1, () => Uint8Array.of(1))
  const within = Uint8Array.from([9, 9, 9, 7, 7, ...queryAbout(1).subarray(2), 9])

  expect(ready.find(within, 3, 20)).toEqual(Uint8Array.of(1))
  expect(ready.find(within, 2, 20)).toBeUndefined()
  expect(ready.find(within, 3, 12)).toBeUndefined()
})

it('holds a megabyte or so, whoever asks in ever new words', () => {
  const ready = new ReadyAnswers()
  for (let number = 0; number < 1000; number++) {
    ready.encodeNext(queryAbout(number), 1, () => new Uint8Array(4096))
  }
  const kept = Array.from({ length: 1000 }, (_, number) => queryAbout(number)).filter((query) =>
    ready.find(query, 0, 20),
  )

  expect(kept.length).toBeLessThan(300)
  expect(ready.find(queryAbout(999), 0, 20)).toBeDefined()
})
