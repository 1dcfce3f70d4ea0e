import { describe, it } from 'vitest'
import { followModel, modelSteps } from './model.ts'
import { setUp, type OpenPlace } from './store-place.ts'

/** Everything together, against a plain map. */
export function describeModel(open: OpenPlace): void {
  describe('a random life', () => {
    const here = setUp(open)

    it.each([1, 2, 3, 4])('is that of a plain map: seed %d', async (seed) => {
      await followModel(here.store, modelSteps(seed, 60))
    })
  })
}
