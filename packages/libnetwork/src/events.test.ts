import { expect, it } from 'vitest'
import { EventLog, type ControllerEvent, type Happening } from './events.ts'

const happening = (what: string): Happening => ({ kind: 'rules-restored', table: 'inet net', what })

/** What the next so many events say, in a line each. */
async function read(events: AsyncIterable<ControllerEvent>, count: number): Promise<string[]> {
  const lines: string[] = []
  for await (const event of events) {
    const text = event.kind === 'events-missed' ? `missed ${event.missed}` : 'what' in event ? event.what : ''
    if (lines.push(`${event.sequence} ${text}`) === count) break
  }
  return lines
}

it('yields events in their order, numbered, to everybody who listens', async () => {
  const log = new EventLog()
  const one = read(log.events(), 2)
  const other = read(log.events(), 2)

  log.add(happening('a'))
  log.add(happening('b'))

  expect(await Promise.all([one, other])).toEqual([
    ['1 a', '2 b'],
    ['1 a', '2 b'],
  ])
})

it('begins with the call, not with the first look', async () => {
  const log = new EventLog()
  log.add(happening('a'))
  const events = log.events()
  log.add(happening('b'))

  expect(await read(events, 1)).toEqual(['2 b'])
})

it('goes back as far as is asked for', async () => {
  const log = new EventLog()
  for (const what of ['a', 'b', 'c']) log.add(happening(what))

  expect(await read(log.events({ after: 0 }), 3)).toEqual(['1 a', '2 b', '3 c'])
  expect(await read(log.events({ after: 2 }), 1)).toEqual(['3 c'])
})

it('tells a slow listener how many he missed, and goes on with those that are remembered', async () => {
  const log = new EventLog(2)
  const events = log.events()
  for (const what of ['a', 'b', 'c', 'd', 'e']) log.add(happening(what))

  expect(await read(events, 3)).toEqual(['3 missed 3', '4 d', '5 e'])
})

it('ends when its signal fires', async () => {
  const log = new EventLog()
  const ending = new AbortController()
  const reading = read(log.events({ signal: ending.signal }), 2)
  log.add(happening('a'))

  ending.abort()

  expect(await reading).toEqual([])
  expect(await read(log.events({ signal: ending.signal, after: 0 }), 1)).toEqual([])
})

it('ends after the last event once it is closed', async () => {
  const log = new EventLog()
  const reading = read(log.events(), 2)
  log.add(happening('a'))
  log.close()
  log.add(happening('b'))

  expect(await reading).toEqual(['1 a'])
  expect(await read(log.events({ after: 0 }), 2)).toEqual(['1 a'])
  expect(await read(log.events(), 1)).toEqual([])
})
