import fc from 'fast-check'
import { describe, it } from 'vitest'
import { memoryStore } from './index.ts'
import { followModel, type ModelOperation } from './testing/index.ts'

const operation: fc.Arbitrary<ModelOperation> = fc.record({
  type: fc.constantFrom('put', 'put', 'delete', 'check'),
  key: fc.nat(7),
  condition: fc.constantFrom('none', 'right', 'right', 'wrong'),
})
const steps = fc.array(fc.array(operation, { minLength: 1, maxLength: 5 }), { maxLength: 60 })

describe('a store in memory', () => {
  it('does what a plain map does, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (life) => {
        await using store = memoryStore()
        await followModel(store, life)
      }),
    )
  })
})
