import { NetError } from '@net/types'
import { expect, it } from 'vitest'
import { commitInParts, type Step } from './commit-in-parts.ts'

const tooLarge = new NetError('too large', { code: 'ERR_BATCH_TOO_LARGE', kind: 'bad-request' })
const step = (text: string): Step => {
  const [sign, port = ''] = text.split(' ')
  const fact = {
    kind: 'open-port',
    family: 4,
    protocol: 'tcp',
    address: '10.0.0.2',
    port: Number(port),
    count: 1,
  } as const
  return { kind: sign === '+' ? 'add' : 'remove', fact }
}
const textOf = ({ kind, fact }: Step): string => `${kind === 'add' ? '+' : '-'} ${'port' in fact ? fact.port : ''}`

/** Takes so many steps at a time; refuses a step, and its opposite if told to. Remembers what it took. */
function kernel(
  room: number,
  refused: readonly string[] = [],
): { took: string[][]; commit: (steps: readonly Step[]) => void } {
  const took: string[][] = []
  return {
    took,
    commit: (steps) => {
      if (steps.length > room) throw tooLarge
      const refusal = steps.map(textOf).find((text) => refused.includes(text))
      if (refusal !== undefined) throw new Error(`refused: ${refusal}`)
      took.push(steps.map(textOf))
    },
  }
}

const steps = ['- 1', '- 2', '+ 3', '+ 4', '+ 5'].map(step)

it('commits what fits as one', () => {
  const { took, commit } = kernel(5)

  commitInParts(commit, steps)

  expect(took).toEqual([['- 1', '- 2', '+ 3', '+ 4', '+ 5']])
})

it('commits what does not fit in parts, in its order', () => {
  const { took, commit } = kernel(2)

  commitInParts(commit, steps)

  expect(took).toEqual([['- 1', '- 2'], ['+ 3'], ['+ 4', '+ 5']])
})

it('undoes the parts before the one that is refused, last first', () => {
  const { took, commit } = kernel(2, ['+ 5'])

  expect(() => {
    commitInParts(commit, steps)
  }).toThrow('refused: + 5')

  expect(took).toEqual([['- 1', '- 2'], ['+ 3'], ['- 3'], ['+ 2', '+ 1']])
})

it('says both when undoing is refused as well', () => {
  const { commit } = kernel(2, ['+ 5', '+ 1'])

  expect(() => {
    commitInParts(commit, steps)
  }).toThrow(expect.objectContaining({ errors: [new Error('refused: + 5'), new Error('refused: + 1')] }))
})

it('gives up on a step that does not fit alone', () => {
  const { took, commit } = kernel(0)

  expect(() => {
    commitInParts(commit, steps)
  }).toThrow(tooLarge)
  expect(took).toEqual([])
})
