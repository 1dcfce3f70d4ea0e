import { describe, expect, it } from 'vitest'
import { Turns } from './index.ts'

/** Synchronous work. */
function work(durationMs = 0.5): void {
  const end = performance.now() + durationMs
  while (performance.now() < end);
}

/** Counts the turns of the event loop until it is stopped. */
function turnCounter(): { count: number; stop: () => void } {
  let isRunning = true
  const counter = { count: 0, stop: () => { isRunning = false } } // prettier-ignore
  const turned = (): void => {
    counter.count++
    if (isRunning) setImmediate(turned)
  }
  setImmediate(turned)
  return counter
}

describe('Turns', () => {
  it('goes on at once while little was done', async () => {
    const turns = new Turns()
    const loop = turnCounter()
    await turns.take()
    await turns.take()
    loop.stop()

    expect(loop.count).toBe(0)
  })

  it('lets the event loop turn between the steps of 300 long operations', async () => {
    const turns = new Turns()
    const loop = turnCounter()
    /** How many steps were done in each turn of the loop. */
    const steps = new Map<number, number>()
    const operation = async (): Promise<void> => {
      for (let step = 0; step < 3; step++) {
        await turns.take()
        work()
        steps.set(loop.count, (steps.get(loop.count) ?? 0) + 1)
      }
    }

    await Promise.all(Array.from({ length: 300 }, operation))
    loop.stop()

    expect([...steps.values()].reduce((sum, count) => sum + count, 0)).toBe(900)
    // Two milliseconds hold four such steps, and one more may begin just before they are over.
    expect(Math.max(...steps.values())).toBeLessThanOrEqual(6)
    expect(steps.size).toBeGreaterThanOrEqual(900 / 6)
  })

  it('serves those who wait in order of asking', async () => {
    const turns = new Turns()
    const order: number[] = []
    const operation = async (number: number): Promise<void> => {
      await turns.take()
      work()
      order.push(number)
    }

    await Promise.all(Array.from({ length: 50 }, (_, number) => operation(number)))

    expect(order).toEqual(Array.from({ length: 50 }, (_, number) => number))
  })

  it('does nothing in the turn after a long one, and then goes on however long turns are', async () => {
    const turns = new Turns()
    let count = 0
    let isRunning = true
    const busy = (): void => {
      count++
      work(5)
      if (isRunning) setImmediate(busy)
    }
    setImmediate(busy)
    const steps: number[] = []
    const operation = async (): Promise<void> => {
      await turns.take()
      steps.push(count)
    }

    await Promise.all(Array.from({ length: 10 }, operation))
    isRunning = false

    // The first one goes on at once; turns of five milliseconds have a step in every second one.
    expect(steps).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18])
  })

  it('gives up a step with the reason of the signal', async () => {
    const turns = new Turns()
    const abort = new AbortController()
    const operations = Array.from({ length: 20 }, async (_, number) => {
      await turns.take({ signal: abort.signal })
      work()
      if (number === 10) abort.abort(new Error('given up'))
    })

    const answers = await Promise.allSettled(operations)

    expect(answers.slice(0, 11).every(({ status }) => status === 'fulfilled')).toBe(true)
    expect(answers.slice(11).every(({ status }) => status === 'rejected')).toBe(true)
    await expect(turns.take({ signal: abort.signal })).rejects.toThrow('given up')
  })
})
