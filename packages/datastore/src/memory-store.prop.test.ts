import fc from 'fast-check'
import { describe, it } from 'vitest'
import { memoryStore } from './index.ts'
import { followModel, raceLeases, type LeaseStep, type ModelOperation } from './testing/index.ts'

const operation: fc.Arbitrary<ModelOperation> = fc.record({
  type: fc.constantFrom('put', 'put', 'delete', 'check'),
  key: fc.nat(7),
  condition: fc.constantFrom('none', 'right', 'right', 'wrong'),
})
const steps = fc.array(fc.array(operation, { minLength: 1, maxLength: 5 }), { maxLength: 60 })
const leaseStep: fc.Arbitrary<LeaseStep> = fc.record({
  type: fc.constantFrom('put', 'put', 'put', 'delete', 'release'),
  key: fc.nat(4),
  lease: fc.nat(2),
  isLater: fc.boolean(),
})
const leaseSteps = fc.array(leaseStep, { maxLength: 30 })

describe('a store in memory', () => {
  it('does what a plain map does, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (life) => {
        await using store = memoryStore()
        await followModel(store, life)
      }),
    )
  })

  it('keeps nothing that was bound to a lease, whenever it was put', async () => {
    await fc.assert(
      fc.asyncProperty(leaseSteps, async (life) => {
        await using store = memoryStore()
        await raceLeases(store, life)
      }),
    )
  })
})
