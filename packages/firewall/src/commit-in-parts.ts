import { isNetError } from '@net/types'
import type { CheckedFact } from './fact.ts'

/** A fact to put into the table or to take out of it. */
export interface Step {
  readonly kind: 'add' | 'remove'
  readonly fact: CheckedFact
}

/**
 * Commits all steps as one where they fit into the socket's buffer, and else in as few halves of halves as it takes: in
 * a user namespace the buffer is small. When one is refused, those before it are undone.
 *
 * @param commit carries out some of the steps, all or none of them
 * @throws what `commit` throws; an AggregateError when undoing failed as well
 */
export function commitInParts(commit: (steps: readonly Step[]) => void, steps: readonly Step[]): void {
  const done: Step[] = []
  try {
    commitSome(commit, steps, done)
  } catch (error) {
    if (done.length > 0) undo(commit, done, error)
    throw error
  }
}

function undo(commit: (steps: readonly Step[]) => void, done: readonly Step[], refusal: unknown): void {
  try {
    commitSome(commit, done.map(inverse).reverse(), [])
  } catch (error) {
    throw new AggregateError([refusal, error], 'packet rules were changed in part')
  }
}

function commitSome(commit: (steps: readonly Step[]) => void, steps: readonly Step[], done: Step[]): void {
  try {
    commit(steps)
    for (const step of steps) done.push(step)
  } catch (error) {
    if (!isNetError(error, 'ERR_BATCH_TOO_LARGE') || steps.length < 2) throw error
    const middle = steps.length >> 1
    commitSome(commit, steps.slice(0, middle), done)
    commitSome(commit, steps.slice(middle), done)
  }
}

function inverse({ kind, fact }: Step): Step {
  return { kind: kind === 'add' ? 'remove' : 'add', fact }
}
