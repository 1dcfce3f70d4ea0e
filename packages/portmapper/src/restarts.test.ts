import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Restarts } from './restarts.ts'

let started: number
let restarts: Restarts
beforeEach(() => {
  vi.useFakeTimers()
  started = 0
  restarts = new Restarts([0, 100, 1000], () => started++)
})
afterEach(() => {
  vi.useRealTimers()
})

/** Loses it, and lets `ms` pass. Whether it is to be started again. */
function lose(ms: number): boolean {
  const isTried = restarts.schedule()
  vi.advanceTimersByTime(ms)
  return isTried
}

describe('what was lost', () => {
  it('is started at once, and then after each delay', () => {
    expect([lose(0), started]).toEqual([true, 1])
    expect([lose(99), started]).toEqual([true, 1])
    vi.advanceTimersByTime(1)
    expect(started).toBe(2)
    expect([lose(1000), started]).toEqual([true, 3])
  })

  it('is not started for ever, be it there in between or not', () => {
    for (const ms of [0, 100, 1000]) {
      lose(ms)
      restarts.served()
    }

    expect([lose(10_000), started]).toEqual([false, 3])
  })

  it('is started as at first once it was there for longer than the longest delay', () => {
    lose(0)
    restarts.served()
    vi.advanceTimersByTime(1001)

    expect([lose(0), started]).toEqual([true, 2])
  })

  it('is started once, however often it is told of', () => {
    restarts.schedule()
    restarts.schedule()
    vi.advanceTimersByTime(0)

    expect(started).toBe(1)
    expect([lose(100), started]).toEqual([true, 2])
  })

  it('is not started when it is there meanwhile, nor when that is called off', () => {
    restarts.schedule()
    restarts.served()
    lose(0)
    restarts.cancel()

    vi.advanceTimersByTime(10_000)

    expect(started).toBe(0)
  })

  it('is never started without delays', () => {
    expect(new Restarts([], () => started++).schedule()).toBe(false)
  })
})
