import { InvalidStoreOptionError } from '@net/datastore'
import { silentLogger, type Logger } from '@net/types'
import { resolve } from 'node:path'

/** How to open a store. */
export interface LmdbStoreOptions {
  /** The store's folder; made where there is none. */
  readonly path: string
  /** Writes nothing, not even marks: for a folder that cannot be written. @defaultValue false */
  readonly readOnly?: boolean | undefined
  /** Refused where somebody has it open. Who opens it later and does not ask for this is let in. @defaultValue false */
  readonly exclusive?: boolean | undefined
  /** How many changes a watch can go back, or lag behind. @defaultValue 10 000 */
  readonly history?: number | undefined
  /** How many bytes of changes, at most, are kept for watches. @defaultValue 64 MiB */
  readonly historyBytes?: number | undefined
  /** How often a snapshot is written, if anything changed. @defaultValue 300 000 */
  readonly snapshotIntervalMs?: number | undefined
  /**
   * How long the child that reads a file which was not closed may go without an answer: damage can make LMDB wait for
   * ever. @defaultValue 10 000
   */
  readonly probeTimeoutMs?: number | undefined
  /** @defaultValue says nothing */
  readonly logger?: Logger | undefined
}

/** Options with nothing left open. @throws `ERR_INVALID_STORE_OPTION` */
export function resolveOptions(options: LmdbStoreOptions): ResolvedOptions {
  const { path, readOnly = false, exclusive = false, logger = silentLogger } = options
  if (typeof path !== 'string' || path === '') throw new InvalidStoreOptionError('path', path, 'a folder')
  return {
    path: resolve(path),
    readOnly,
    exclusive,
    logger,
    history: wholeNumber('history', options.history ?? 10_000, 1),
    historyBytes: wholeNumber('historyBytes', options.historyBytes ?? 64 * 2 ** 20, 1),
    snapshotIntervalMs: wholeNumber('snapshotIntervalMs', options.snapshotIntervalMs ?? 300_000, 100, 2 ** 31 - 1),
    probeTimeoutMs: wholeNumber('probeTimeoutMs', options.probeTimeoutMs ?? 10_000, 100, 2 ** 31 - 1),
  }
}

/** {@link LmdbStoreOptions} with nothing left open. */
export type ResolvedOptions = { readonly [Name in keyof LmdbStoreOptions]-?: NonNullable<LmdbStoreOptions[Name]> }

function wholeNumber(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || value < least || value > most)
    throw new InvalidStoreOptionError(name, value, `a whole number from ${least} to ${most}`)
  return value
}
