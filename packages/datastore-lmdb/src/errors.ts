import { NetError } from '@net/types'

/** The store's file is damaged beyond single values. It is kept as it is; `restoreLmdbStore` goes back to the snapshot. */
export class StoreDamagedError extends NetError<'ERR_STORE_DAMAGED'> {
  /** The file that is damaged. */
  readonly file: string
  /** Where the snapshot lies that the store can be restored from, if there is one. */
  readonly snapshot: string | undefined

  constructor(file: string, snapshot: string | undefined, why: string, cause?: unknown) {
    const remedy = snapshot === undefined ? 'there is no snapshot' : `restore it from ${snapshot}`
    super(`${file} is damaged: ${why}; ${remedy}`, { code: 'ERR_STORE_DAMAGED', kind: 'internal', cause })
    this.file = file
    this.snapshot = snapshot
  }
}

/** There is no snapshot to restore the store from, or it is damaged too. */
export class NoSnapshotError extends NetError<'ERR_NO_SNAPSHOT'> {
  constructor(file: string, why: string, cause?: unknown) {
    super(`${file} is no snapshot to restore from: ${why}`, { code: 'ERR_NO_SNAPSHOT', kind: 'not-found', cause })
  }
}

/** The store is open, so that nothing may happen to its file. */
export class StoreInUseError extends NetError<'ERR_STORE_IN_USE'> {
  constructor(path: string, holders: readonly number[]) {
    super(`the store in ${path} is open: held by process ${holders.join(', ')}`, {
      code: 'ERR_STORE_IN_USE',
      kind: 'retry',
    })
  }
}
