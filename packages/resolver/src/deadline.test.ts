import { getEventListeners } from 'node:events'
import { expect, it } from 'vitest'
import { deadline } from './deadline.ts'

it('fires after its time', async () => {
  using limit = deadline(1, new AbortController().signal)
  await new Promise((resolve) => {
    limit.signal.addEventListener('abort', resolve)
  })

  expect(limit.signal.reason).toMatchObject({ message: 'no answer within 1 ms' })
})

it('fires with the other signal, also one that has fired already', () => {
  const outer = new AbortController()
  using before = deadline(60_000, outer.signal)
  outer.abort(new Error('closed'))
  using after = deadline(60_000, outer.signal)

  expect([before, after].map(({ signal }) => signal.reason as Error)).toMatchObject([
    { message: 'closed' },
    { message: 'closed' },
  ])
})

it('leaves nothing with the other signal', () => {
  const outer = new AbortController()
  for (let times = 0; times < 100; times++) deadline(60_000, outer.signal)[Symbol.dispose]()

  expect(getEventListeners(outer.signal, 'abort')).toEqual([])
})
