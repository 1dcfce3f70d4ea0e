import type { StoreOperation, VersionConflictError } from '@net/datastore'
import { isNetError, type NetError } from '@net/types'

/**
 * The key of one of `ours` that a transaction failed at, since somebody else changed it. Undefined for every other
 * failure, a conflict at an operation of the caller's too: that is his to deal with.
 */
export function conflictingKey(error: unknown, ours: readonly StoreOperation[]): string | undefined {
  if (!isNetError(error, 'ERR_VERSION_CONFLICT')) return undefined
  const { key } = error as NetError & Pick<VersionConflictError, 'key'>
  return ours.some((operation) => operation.key === key) ? key : undefined
}
