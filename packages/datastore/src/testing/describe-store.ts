import { describe } from 'vitest'
import { describeConcurrency } from './describe-concurrency.ts'
import { describeDamage } from './describe-damage.ts'
import { describeEntries } from './describe-entries.ts'
import { describeLeases } from './describe-leases.ts'
import { describeLifetime } from './describe-lifetime.ts'
import { describeLimits } from './describe-limits.ts'
import { describeLists } from './describe-lists.ts'
import { describeModel } from './describe-model.ts'
import { describeTransactions } from './describe-transactions.ts'
import { describeWatches } from './describe-watches.ts'
import type { Ability, Can, OpenPlace } from './store-place.ts'

/** How to describe a store. */
export interface DescribeStoreOptions {
  /** Gives a fresh, empty place each time. */
  readonly open: OpenPlace
  /** What its places cannot do, and so is not looked at. @defaultValue nothing */
  readonly lacks?: readonly Ability[] | undefined
}

/** Describes, as vitest tests, what a store does. */
export function describeStore(name: string, { open, lacks = [] }: DescribeStoreOptions): void {
  const can: Can = (ability) => !lacks.includes(ability)
  describe(`store ${name}`, () => {
    describeEntries(open)
    describeLists(open)
    describeLimits(open)
    describeTransactions(open)
    describeWatches(open)
    describeLeases(open, can)
    describeConcurrency(open, can)
    if (can('damage')) describeDamage(open)
    describeLifetime(open, can)
    describeModel(open)
  })
}
