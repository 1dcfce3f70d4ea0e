/**
 * A store for several machines: etcd.
 *
 * @packageDocumentation
 */

export type { DamagedRecord } from './damage.ts'
export { EtcdAccessDeniedError, EtcdRefusedError, EtcdReplyError, EtcdReplyTooLongError } from './errors.ts'
export type { EtcdStore } from './etcd-store.ts'
export { openEtcdStore } from './open-store.ts'
export type { EtcdCredentials, EtcdStoreDeps, EtcdStoreOptions, EtcdTlsOptions } from './options.ts'
