import { describe, expect, it } from 'vitest'
import { FairSlots } from './fair-slots.ts'

const never = new AbortController().signal

/** Takes a slot and notes who got it; the slot once it is had. */
async function take(slots: FairSlots, holder: object, order: string[], name: string): Promise<Disposable> {
  const slot = await slots.take(holder, never)
  order.push(name)
  return slot
}

describe('slots', () => {
  it('are given in turn to those who wait, however many times one of them asks', async () => {
    const slots = new FairSlots({ total: 1, each: 1 })
    const [greedy, modest] = [{}, {}]
    const order: string[] = []
    const first = await slots.take({}, never)
    const asked = [
      take(slots, greedy, order, 'greedy 1'),
      take(slots, greedy, order, 'greedy 2'),
      take(slots, greedy, order, 'greedy 3'),
      take(slots, modest, order, 'modest'),
    ]

    first[Symbol.dispose]()
    await Promise.all(
      asked.map(async (slot) => {
        ;(await slot)[Symbol.dispose]()
      }),
    )

    expect(order).toEqual(['greedy 1', 'modest', 'greedy 2', 'greedy 3'])
  })

  it('are left for others by who has his share', async () => {
    const slots = new FairSlots({ total: 2, each: 1 })
    const greedy = {}
    const order: string[] = []
    const first = await slots.take(greedy, never)
    const second = take(slots, greedy, order, 'greedy')

    await take(slots, {}, order, 'other')
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    await second

    expect(order).toEqual(['other', 'greedy'])
  })

  it('are not kept for who gave up', async () => {
    const slots = new FairSlots({ total: 1, each: 1 })
    const first = await slots.take({}, never)
    const giving = new AbortController()
    const given = slots.take({}, giving.signal)
    giving.abort(new Error('given up'))
    await expect(given).rejects.toThrow('given up')
    const third = slots.take({}, never)

    first[Symbol.dispose]()

    expect(await third).toBeDefined()
  })
})
