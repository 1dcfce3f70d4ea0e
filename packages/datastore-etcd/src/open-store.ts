import { checkFormat } from './format.ts'
import { Gateway } from './gateway.ts'
import { type EtcdStore, GatewayStore } from './etcd-store.ts'
import { type EtcdStoreDeps, type EtcdStoreOptions, resolveOptions } from './options.ts'

/**
 * Opens the store that lies below a prefix in etcd; nothing has to be there yet.
 *
 * @throws `ERR_INVALID_STORE_OPTION` and `ERR_INVALID_KEY` before it connects, `ERR_STORE_UNAVAILABLE`,
 *   `ERR_STORE_VERSION`, `ERR_ETCD_ACCESS_DENIED`
 */
export async function openEtcdStore(options: EtcdStoreOptions, deps: EtcdStoreDeps = {}): Promise<EtcdStore> {
  const resolved = resolveOptions(options, deps)
  const gateway = new Gateway(resolved)
  try {
    await checkFormat(gateway, resolved.prefix)
  } catch (error) {
    gateway.close()
    throw error
  }
  return new GatewayStore(gateway, resolved)
}
