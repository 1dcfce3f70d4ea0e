/**
 * The compliance suite: what a store has to do to be one.
 *
 * @packageDocumentation
 */

export { describeStore, type DescribeStoreOptions } from './describe-store.ts'
export { raceLeases, type LeaseStep } from './lease-race.ts'
export { followModel, modelSteps, type ModelOperation, type ModelStep } from './model.ts'
export type { Ability, OpenPlace, StorePlace } from './store-place.ts'
