/**
 * The compliance suite: what a store has to do to be one.
 *
 * @packageDocumentation
 */

export { describeStore } from './describe-store.ts'
export { followModel, modelSteps, type ModelOperation, type ModelStep } from './model.ts'
export type { StorePlace } from './store-place.ts'
