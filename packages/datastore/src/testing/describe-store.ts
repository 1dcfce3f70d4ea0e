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
import type { OpenPlace } from './store-place.ts'

/** Describes, as vitest tests, what a store does. `open` gives a fresh, empty place each time. */
export function describeStore(name: string, { open }: { readonly open: OpenPlace }): void {
  describe(`store ${name}`, () => {
    describeEntries(open)
    describeLists(open)
    describeLimits(open)
    describeTransactions(open)
    describeWatches(open)
    describeLeases(open)
    describeConcurrency(open)
    describeDamage(open)
    describeLifetime(open)
    describeModel(open)
  })
}
