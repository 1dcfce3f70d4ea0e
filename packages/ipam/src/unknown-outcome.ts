import type { StoreUnavailableError } from '@net/datastore'
import { isNetError } from '@net/types'

/** Whether a write may have taken place although it failed. */
export function isUnknown(error: unknown): boolean {
  return isNetError(error, 'ERR_STORE_UNAVAILABLE') && (error as Partial<StoreUnavailableError>).outcome === 'unknown'
}
