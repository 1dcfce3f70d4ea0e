import { join } from 'node:path'
import type { Store } from '@net/datastore'
import type { Logger, Rollback } from '@net/types'
import { ControllerRunningError, InvalidRequestError } from '../errors.ts'

/** Where records are kept, and for how long. */
export interface KeepingOptions {
  /**
   * What `close` does with sandboxes and networks. Those that are kept are there again when the same state directory or
   * store is opened next. @defaultValue 'keep' where there is one, else 'delete'
   */
  readonly onClose?: 'delete' | 'keep' | undefined
  /** Folder that records are kept in: what is made outlives the process. @defaultValue memory only */
  readonly stateDirectory?: string | undefined
  /** Stores of the caller's instead: `local`, for this controller alone. They stay open. */
  readonly stores?: { readonly local?: Store | undefined } | undefined
}

/** Whether there are records to go by when the process ends without a word. */
export function isKept({ stateDirectory, stores }: KeepingOptions): boolean {
  return stateDirectory !== undefined || stores?.local !== undefined
}

/** Whether networks and sandboxes outlive the controller. */
export function outlives(options: KeepingOptions): boolean {
  const { onClose, stateDirectory, stores } = options
  const hasStore = isKept(options)
  if (stateDirectory !== undefined && stores?.local !== undefined) {
    throw new InvalidRequestError(
      'controller',
      'stores.local',
      'expected either a state directory or a store, got both',
    )
  }
  if (onClose === 'keep' && !hasStore) {
    throw new InvalidRequestError(
      'controller',
      'onClose',
      "expected a state directory or a store with 'keep': nobody would know what is kept",
    )
  }
  return (onClose ?? (hasStore ? 'keep' : 'delete')) === 'keep'
}

/**
 * Opens the store of a controller, if it has one.
 *
 * @throws ControllerRunningError (`ERR_CONTROLLER_RUNNING`), and what opening an LMDB store throws
 */
export async function openStore(
  { stateDirectory, stores }: KeepingOptions,
  held: Rollback,
  logger: Logger,
): Promise<Store | undefined> {
  if (stateDirectory === undefined) return stores?.local
  // Who keeps nothing needs no LMDB.
  const { openLmdbStore, StoreInUseError } = await import('@net/datastore-lmdb')
  const path = join(stateDirectory, 'store')
  try {
    // The controller's name is held in one network namespace; the folder can be seen from others.
    const store = await openLmdbStore({ path, logger, exclusive: true })
    held.defer('open the store', () => store.close())
    return store
  } catch (error) {
    throw error instanceof StoreInUseError ? new ControllerRunningError(stateDirectory, error.pids[0], error) : error
  }
}
