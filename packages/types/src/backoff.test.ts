import { expect, it } from 'vitest'
import { Backoff } from './backoff.ts'

const options = { firstMs: 100, maxMs: 1_000, quietMs: 5_000 }

it('waits longer and longer while it goes on, up to the longest wait', () => {
  const backoff = new Backoff(options)
  let now = 0

  const waits = Array.from({ length: 7 }, () => {
    const waitMs = backoff.next(now)
    now += waitMs + 1
    return waitMs
  })

  expect(waits).toEqual([0, 100, 200, 400, 800, 1_000, 1_000])
})

it('goes at once again after a quiet time', () => {
  const backoff = new Backoff(options)
  backoff.next(0)
  expect(backoff.next(1)).toBe(100)

  expect(backoff.next(101 + 5_000)).toBe(0)
  expect(backoff.next(101 + 5_001)).toBe(100)
})
