import { join } from 'node:path'

/** The files of a store. */
export interface StoreFolder {
  readonly path: string
  /** LMDB's file, and the lock that its processes share. */
  readonly data: string
  readonly lock: string
  /** A data file that is being built, to take the place of the other. */
  readonly fresh: string
  readonly freshLock: string
  readonly snapshot: string
  /** Size and checksum of the data file, written by the last holder that closed it. */
  readonly clean: string
  /** One file for each holder. */
  readonly holders: string
  /** There while somebody opens, closes or restores the store. */
  readonly gate: string
  /** Written to after each commit, so that other processes look for changes. */
  readonly wake: string
}

/** Names the files of the store in a folder. */
export function storeFolder(path: string): StoreFolder {
  const data = join(path, 'data.mdb')
  const fresh = join(path, 'fresh.mdb')
  return {
    path,
    data,
    lock: `${data}-lock`,
    fresh,
    freshLock: `${fresh}-lock`,
    snapshot: join(path, 'snapshot'),
    clean: join(path, 'clean.json'),
    holders: join(path, 'holders'),
    gate: join(path, 'gate'),
    wake: join(path, 'wake'),
  }
}
