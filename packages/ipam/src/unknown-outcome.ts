import type { StoreUnavailableError } from '@net/datastore'
import { isNetError, type CallOptions } from '@net/types'

/**
 * Whether a write may have taken place although it failed: its store says so, or it was given up, and may have been
 * under way.
 */
export function isUnknown(error: unknown, { signal }: CallOptions): boolean {
  if (signal?.aborted === true && error === signal.reason) return true
  return isNetError(error) && (error as Partial<StoreUnavailableError>).outcome === 'unknown'
}
