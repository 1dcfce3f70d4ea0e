import { openValue } from '@net/datastore'
import { isNetError, type Logger, type NetError } from '@net/types'
import { encodeBase64 } from './base64.ts'
import type { Gateway } from './gateway.ts'
import { KeySpace } from './key-space.ts'
import { readRange } from './listing.ts'
import { decodeTransaction, type RawEntry } from './replies.ts'

/** A value that was found damaged, as it lies in etcd. */
export interface DamagedRecord {
  readonly key: string
  /** Version of the entry that had it. */
  readonly version: number
  readonly bytes: Uint8Array
}

/** The value of an entry, or the error that says what is wrong with it. */
export function openEntry(key: string, entry: RawEntry): Uint8Array | NetError {
  try {
    return openValue(key, entry.value)
  } catch (error) {
    if (isNetError(error, 'ERR_VALUE_DAMAGED')) return error
    throw error
  }
}

/** How many are remembered as set aside already, so that not every listing asks etcd again. */
const REMEMBERED = 1_000

/** Opens values, and keeps copies of those that are damaged below a prefix of their own. */
export class DamagedValues {
  readonly #gateway: Gateway
  readonly #aside: KeySpace
  readonly #logger: Logger
  readonly #known = new Set<string>()

  constructor(gateway: Gateway, prefix: string, logger: Logger) {
    this.#gateway = gateway
    this.#aside = new KeySpace(`${prefix}damaged/`)
    this.#logger = logger
  }

  /** As {@link openEntry}, and sets a damaged value aside. */
  async open(key: string, entry: RawEntry): Promise<Uint8Array | NetError> {
    const value = openEntry(key, entry)
    if (!(value instanceof Uint8Array)) await this.#setAside({ key, version: entry.version, bytes: entry.value })
    return value
  }

  /** Everything that was set aside, in order of versions. */
  async list(signal: AbortSignal | undefined): Promise<readonly DamagedRecord[]> {
    const { entries } = await readRange(this.#gateway, this.#aside, { prefix: '', signal })
    return entries.flatMap(({ name, value }) => {
      const [version = '', ...key] = name.split('/')
      return /^\d{16}$/.test(version) ? [{ key: key.join('/'), version: Number(version), bytes: value }] : []
    })
  }

  /** Once for each version, whoever finds it first. That it cannot be done must not hide the damage itself. */
  async #setAside({ key, version, bytes }: DamagedRecord): Promise<void> {
    const name = `${String(version).padStart(16, '0')}/${key}`
    if (this.#known.has(name)) return
    const aside = this.#aside.key(name)
    try {
      await this.#gateway.write({
        path: 'kv/txn',
        body: {
          compare: [{ key: aside, target: 'MOD', result: 'EQUAL', mod_revision: '0' }],
          success: [{ request_put: { key: aside, value: encodeBase64(bytes) } }],
        },
        decode: (reply) => decodeTransaction(reply, { success: 1, failure: 0 }),
      })
      this.#remember(name)
      this.#logger.error({ key, version }, 'damaged value set aside')
    } catch (error) {
      this.#logger.error({ key, version, err: error }, 'damaged value could not be set aside')
    }
  }

  #remember(name: string): void {
    if (this.#known.size >= REMEMBERED) this.#known.clear()
    this.#known.add(name)
  }
}
