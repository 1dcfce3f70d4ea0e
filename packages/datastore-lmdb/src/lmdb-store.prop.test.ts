import { followModel, type ModelOperation } from '@net/datastore/testing'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { temporaryFolders } from '../test/temporary-folder.ts'
import { openLmdbStore } from './index.ts'

const operation: fc.Arbitrary<ModelOperation> = fc.record({
  type: fc.constantFrom('put', 'put', 'delete', 'check'),
  key: fc.nat(7),
  condition: fc.constantFrom('none', 'right', 'right', 'wrong'),
})
const steps = fc.array(fc.array(operation, { minLength: 1, maxLength: 5 }), { maxLength: 40 })

describe('a store in LMDB', () => {
  const folder = temporaryFolders()

  it('does what a plain map does, whatever happens', async () => {
    const life = fc.asyncProperty(steps, async (given) => {
      await using store = await openLmdbStore({ path: await folder() })
      await followModel(store, given)
    })
    await fc.assert(life, { numRuns: 20 })
  })
})
