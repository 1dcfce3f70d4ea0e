import { NetError } from '@net/types'
import type { Holder } from './holders.ts'

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

/** The store is open, and should not be; or it is by processes of another PID namespace. */
export class StoreInUseError extends NetError<'ERR_STORE_IN_USE'> {
  /** Who has it open, of this PID namespace. */
  readonly pids: readonly number[]

  constructor(path: string, holders: readonly Holder[]) {
    super(`the store in ${path} is open: held by ${holders.map(describe).join(', ')}`, {
      code: 'ERR_STORE_IN_USE',
      kind: 'retry',
    })
    this.pids = holders.filter(({ state }) => state !== 'elsewhere').map(({ pid }) => pid)
  }
}

function describe({ pid, state, mark }: Holder): string {
  if (state !== 'elsewhere') return `process ${pid}`
  return `process ${pid} of another PID namespace (LMDB takes none of two; if that process is gone, remove ${mark})`
}
