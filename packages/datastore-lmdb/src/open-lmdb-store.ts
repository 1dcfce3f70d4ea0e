import type { CallOptions } from '@net/types'
import { storeFolder } from './folder.ts'
import { OpenLmdbStore, type LmdbStore } from './lmdb-store.ts'
import { openFolder, openFolderToRead } from './open-folder.ts'
import { resolveOptions, type LmdbStoreOptions } from './options.ts'
import { WakeUp } from './wake-up.ts'

/**
 * Opens the store in a folder. Several processes may have it open at once.
 *
 * @throws `ERR_STORE_DAMAGED`, `ERR_STORE_VERSION`, `ERR_STORE_READ_ONLY` for a folder that cannot be written,
 *   `ERR_STORE_UNAVAILABLE`, `ERR_STORE_IN_USE` by a process of another PID namespace, or by any where it is
 *   to be `exclusive`, `ERR_INVALID_STORE_OPTION`
 */
export async function openLmdbStore(options: LmdbStoreOptions, call?: CallOptions): Promise<LmdbStore> {
  call?.signal?.throwIfAborted()
  const resolved = resolveOptions(options)
  const folder = storeFolder(resolved.path)
  const { readOnly, probeTimeoutMs } = resolved
  const open = await (readOnly ? openFolderToRead(folder, probeTimeoutMs) : openFolder(folder, resolved, call?.signal))
  try {
    return new OpenLmdbStore(open, await WakeUp.open(folder.wake, readOnly), resolved)
  } catch (error) {
    await open.close()
    throw error
  }
}
