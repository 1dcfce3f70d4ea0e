import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { SHARE_MS, TurnShare } from './turn-share.ts'

/** A share whose clock stands still until it is told to go on. */
function stoppedShare(): { share: TurnShare; useUp: () => void } {
  const clock = { ms: 0 }
  return { share: new TurnShare(() => clock.ms), useUp: () => (clock.ms += SHARE_MS) }
}

it('has time until it is used up, and again in the next turn', async () => {
  const { share, useUp } = stoppedShare()
  const told: string[] = []

  expect(share.hasTime(() => told.push('never'))).toBe(true)
  useUp()
  expect(share.hasTime(() => told.push('one'))).toBe(false)
  expect(told).toEqual([])
  await nextTurn()

  expect(told).toEqual(['one'])
})

it('is given in turn: who used it up comes behind all who wait', async () => {
  const { share, useUp } = stoppedShare()
  const served: string[] = []
  const greedy = (name: string): (() => void) => {
    const goOn = (): void => {
      if (!share.hasTime(goOn)) return
      served.push(name)
      useUp()
      share.hasTime(goOn)
    }
    return goOn
  }

  for (const goOn of ['a', 'b', 'c'].map(greedy)) goOn()
  while (served.length < 7) await nextTurn()

  expect(served).toEqual(['a', 'a', 'b', 'c', 'a', 'b', 'c'])
})

it('remembers once who asks twice', async () => {
  const { share, useUp } = stoppedShare()
  let times = 0
  const goOn = (): number => times++
  share.hasTime(goOn)
  useUp()
  share.hasTime(goOn)
  share.hasTime(goOn)
  await nextTurn()

  expect(times).toBe(1)
})

it('does what is given to it, and tells what came of it', async () => {
  const { share, useUp } = stoppedShare()
  const done: string[] = []

  expect(await share.run(() => done.push('at once'))).toBe(1)
  useUp()
  const later = share.run(() => done.push('later'))
  expect(done).toEqual(['at once'])

  expect(await later).toBe(2)
  await expect(
    share.run(() => {
      throw new Error('no good')
    }),
  ).rejects.toThrow('no good')
})
