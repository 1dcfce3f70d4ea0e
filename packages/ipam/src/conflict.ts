import type { StoreOperation, VersionConflictError } from '@net/datastore'
import { isNetError, type NetError } from '@net/types'

/**
 * The key of one of `ours` that a transaction failed at, since somebody else changed it, or since what is there is
 * damaged, so that its version cannot be told. Undefined for every other failure, one at an operation of the caller's
 * too: that is his to deal with.
 */
export function conflictingKey(error: unknown, ours: readonly StoreOperation[]): string | undefined {
  const isDamaged = isNetError(error, 'ERR_VALUE_DAMAGED')
  if (!isDamaged && !isNetError(error, 'ERR_VERSION_CONFLICT')) return undefined
  const { key } = error as NetError & Pick<VersionConflictError, 'key'>
  const operation = ours.find((one) => one.key === key)
  // To look again helps where another choice can be made: not where the record of a pool is damaged.
  if (isDamaged && operation?.type !== 'put') return undefined
  return operation?.key
}
