import { checkKey, InvalidStoreOptionError } from '@net/datastore'
import { silentLogger, type Logger } from '@net/types'

/** Who the store is towards etcd. */
export interface EtcdCredentials {
  readonly username: string
  readonly password: string
}

/** How a connection by `https` is secured. Certificates and keys are texts in PEM. */
export interface EtcdTlsOptions {
  /** Certificates of the authorities that may vouch for etcd. @defaultValue those that Node knows */
  readonly ca?: string | undefined
  /** Certificate to show to etcd, if it asks for one; `key` belongs to it. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** Name that etcd's certificate must have. @defaultValue the host of the endpoint */
  readonly serverName?: string | undefined
}

/** Where an etcd is, and how to deal with it. */
export interface EtcdStoreOptions {
  /** Servers of one cluster, such as `http://10.0.0.1:2379`; another one is asked when one fails. */
  readonly endpoints: readonly string[]
  /** What all keys in etcd begin with; ends with a slash. @defaultValue `net/` */
  readonly prefix?: string | undefined
  /** Needed where etcd has authentication enabled. */
  readonly credentials?: EtcdCredentials | undefined
  readonly tls?: EtcdTlsOptions | undefined
  /** How long a call may take, all its tries together. @defaultValue 10 000 */
  readonly requestTimeoutMs?: number | undefined
  /** How long a connection may take to come about. @defaultValue 2 000 */
  readonly connectTimeoutMs?: number | undefined
  /** Connections to etcd for calls; each watch has one more of its own. @defaultValue 64 */
  readonly connections?: number | undefined
}

/** What the store is given by the program. */
export interface EtcdStoreDeps {
  /** @defaultValue says nothing */
  readonly logger?: Logger | undefined
}

/** {@link EtcdStoreOptions}, checked and complete. */
export interface ResolvedOptions {
  readonly endpoints: readonly URL[]
  readonly prefix: string
  readonly credentials: EtcdCredentials | undefined
  readonly tls: EtcdTlsOptions
  readonly requestTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly connections: number
  readonly logger: Logger
}

/** @throws `ERR_INVALID_STORE_OPTION`, `ERR_INVALID_KEY` */
export function resolveOptions(options: EtcdStoreOptions, deps: EtcdStoreDeps): ResolvedOptions {
  const { prefix = 'net/', requestTimeoutMs = 10_000, connectTimeoutMs = 2_000, connections = 64 } = options
  checkKey(prefix)
  if (!prefix.endsWith('/')) throw new InvalidStoreOptionError('prefix', prefix, 'a text that ends with a slash')
  checkCount('requestTimeoutMs', requestTimeoutMs)
  checkCount('connectTimeoutMs', connectTimeoutMs)
  checkCount('connections', connections)
  checkCredentials(options.credentials)
  const { tls = {}, credentials } = options
  const endpoints = parseEndpoints(options.endpoints)
  checkTls(tls, endpoints)
  const { logger = silentLogger } = deps
  return { endpoints, prefix, credentials, tls, requestTimeoutMs, connectTimeoutMs, connections, logger }
}

function parseEndpoints(endpoints: readonly string[]): readonly URL[] {
  if (!Array.isArray(endpoints) || endpoints.length === 0)
    throw new InvalidStoreOptionError('endpoints', endpoints, 'one or more')
  return endpoints.map(parseEndpoint)
}

function parseEndpoint(text: string): URL {
  const expected = 'http://HOST:PORT or https://HOST:PORT'
  if (!URL.canParse(text)) throw new InvalidStoreOptionError('endpoint', text, expected)
  const url = new URL(text)
  // A password in a URL would be seen in errors and logs: it is not even repeated here.
  if (url.username !== '' || url.password !== '')
    throw new InvalidStoreOptionError('endpoint', url.origin, 'the user in credentials')
  const isPlain = url.pathname === '/' && url.search === '' && url.hash === ''
  if (!/^https?:$/.test(url.protocol) || !isPlain) throw new InvalidStoreOptionError('endpoint', text, expected)
  return url
}

function checkCount(option: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1 || value > 2 ** 31 - 1)
    throw new InvalidStoreOptionError(option, value, 'a whole number from 1 to 2147483647')
}

function checkCredentials(credentials: EtcdCredentials | undefined): void {
  if (credentials === undefined) return
  const { username, password } = credentials
  if (typeof username !== 'string' || username === '')
    throw new InvalidStoreOptionError('credentials.username', username, 'a text that is not empty')
  if (typeof password !== 'string') throw new InvalidStoreOptionError('credentials.password', typeof password, 'a text')
}

function checkTls(tls: EtcdTlsOptions, endpoints: readonly URL[]): void {
  if ((tls.cert === undefined) !== (tls.key === undefined))
    throw new InvalidStoreOptionError('tls', tls.cert === undefined ? 'key' : 'cert', 'cert and key, or none of them')
  const plain = endpoints.find(({ protocol }) => protocol === 'http:')
  const isUsed = Object.values(tls).some((value) => value !== undefined)
  const isMixed = endpoints.some(({ protocol }) => protocol === 'https:')
  if (plain !== undefined && (isUsed || isMixed))
    throw new InvalidStoreOptionError('endpoint', plain.origin, 'https, as with the others and with tls')
}
