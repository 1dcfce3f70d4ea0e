import { followModel, raceLeases, type LeaseStep, type ModelOperation } from '@net/datastore/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { temporaryFolders } from '../test/temporary-folder.ts'
import { openLmdbStore } from './index.ts'
import { openTables } from './tables.ts'

const operation: fc.Arbitrary<ModelOperation> = fc.record({
  type: fc.constantFrom('put', 'put', 'delete', 'check'),
  key: fc.nat(7),
  condition: fc.constantFrom('none', 'right', 'right', 'wrong'),
})
const steps = fc.array(fc.array(operation, { minLength: 1, maxLength: 5 }), { maxLength: 40 })
const leaseStep: fc.Arbitrary<LeaseStep> = fc.record({
  type: fc.constantFrom('put', 'put', 'put', 'delete', 'release'),
  key: fc.nat(4),
  lease: fc.nat(2),
  isLater: fc.boolean(),
})
const leaseSteps = fc.array(leaseStep, { maxLength: 30 })

describe('a store in LMDB', () => {
  const folder = temporaryFolders()

  it('does what a plain map does, whatever happens', async () => {
    const life = fc.asyncProperty(steps, async (given) => {
      await using store = await openLmdbStore({ path: await folder() })
      await followModel(store, given)
    })
    await fc.assert(life, { numRuns: 20 })
  })

  it('keeps nothing that was bound to a lease, whenever it was put', async () => {
    const path = await folder()
    await using store = await openLmdbStore({ path })
    const life = fc.asyncProperty(leaseSteps, async (given) => {
      await raceLeases(store, given)
      await store.delete('last')
    })
    await fc.assert(life, { numRuns: 50 })
    const { root, bound, leases } = openTables(`${path}/data.mdb`, false)

    expect([...bound.getKeys(), ...leases.getKeys()]).toEqual([])
    await root.close()
  })
})
