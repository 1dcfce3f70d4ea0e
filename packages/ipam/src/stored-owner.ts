import type { Store, StoreOperation } from '@net/datastore'
import { formatAddress, isNetError, parseAddress, type CallOptions } from '@net/types'
import { decodeText, encodeText } from './stored-records.ts'

/** The key that says which addresses of a pool an owner holds, so that one who asks again, from wherever, gets one. */
export class StoredOwner {
  readonly key: string
  /** As they were read last. */
  addresses: readonly string[] = []
  readonly #store: Store
  /** As it was read last; 0 where it was not, or is not there. Absent: what is there is damaged, and to be replaced. */
  #version: number | undefined = 0

  constructor(key: string, store: Store) {
    this.key = key
    this.#store = store
  }

  async read({ signal }: CallOptions): Promise<void> {
    this.addresses = []
    try {
      const entry = await this.#store.find(this.key, { signal })
      this.#version = entry?.version ?? 0
      if (entry !== undefined) this.addresses = parseList(decodeText(this.key, entry.value))
    } catch (error) {
      if (!isNetError(error, 'ERR_VALUE_DAMAGED')) throw error
      this.#version = undefined
    }
  }

  /** Records one more address, unless the key was changed since it was read. */
  add(address: string): StoreOperation {
    return this.#put([...this.addresses, address])
  }

  /** Strikes an address off, if it is there. */
  remove(address: string): StoreOperation[] {
    const left = this.addresses.filter((other) => other !== address)
    if (left.length === this.addresses.length) return []
    return [left.length > 0 ? this.#put(left) : { type: 'delete', key: this.key, ifVersion: this.#version }]
  }

  #put(addresses: readonly string[]): StoreOperation {
    return { type: 'put', key: this.key, value: encodeText(addresses.join(' ')), ifVersion: this.#version }
  }
}

/** The addresses in a text. What is none was written by nobody of us, and means nothing. */
function parseList(text: string): string[] {
  return text.split(' ').flatMap((word) => {
    try {
      return [formatAddress(parseAddress(word))]
    } catch {
      return []
    }
  })
}
