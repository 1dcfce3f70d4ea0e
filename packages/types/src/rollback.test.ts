import { describe, expect, it } from 'vitest'
import { Rollback } from './index.ts'

describe('Rollback', () => {
  it('undoes what was done, last first', async () => {
    const undone: string[] = []
    const rollback = new Rollback()
    rollback.defer('one', () => { undone.push('one') }) // prettier-ignore
    rollback.defer('two', async () => {
      await Promise.resolve()
      undone.push('two')
    })
    rollback.defer('three', () => { undone.push('three') }) // prettier-ignore

    await rollback[Symbol.asyncDispose]()
    await rollback[Symbol.asyncDispose]()

    expect(undone).toEqual(['three', 'two', 'one'])
  })

  it('keeps what was committed', async () => {
    const undone: string[] = []
    const rollback = new Rollback()
    rollback.defer('one', () => { undone.push('one') }) // prettier-ignore
    rollback.commit()
    await rollback[Symbol.asyncDispose]()

    expect(undone).toEqual([])
  })

  it('tries every step and tells all failures together', async () => {
    const undone: string[] = []
    const rollback = new Rollback()
    rollback.defer('delete link', () => { undone.push('link') }) // prettier-ignore
    rollback.defer('delete route', () => { throw new Error('no route') }) // prettier-ignore
    rollback.defer('delete rule', () => Promise.reject(new Error('no rule')))

    const error = await rollback[Symbol.asyncDispose]().catch((error: unknown) => error as AggregateError)

    expect(undone).toEqual(['link'])
    expect(error).toBeInstanceOf(AggregateError)
    expect(
      (error as AggregateError).errors.map(({ message, cause }: Error) => [message, (cause as Error).message]),
    ).toEqual([
      ['could not undo: delete rule', 'no rule'],
      ['could not undo: delete route', 'no route'],
    ])
  })
})
