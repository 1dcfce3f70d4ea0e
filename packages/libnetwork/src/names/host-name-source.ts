import type { NameRecords, RecordSource } from '@net/resolver'

/** The name by which containers find their host, such as `host.docker.internal`. */
export class HostNameSource implements RecordSource {
  readonly #name: string
  #addresses: readonly string[] = []
  #revision = 0

  constructor(name: string) {
    this.#name = folded(name)
  }

  get revision(): number {
    return this.#revision
  }

  /** Says where the host is now. */
  setAddresses(addresses: readonly string[]): void {
    if (addresses.join() === this.#addresses.join()) return
    this.#addresses = addresses
    this.#revision++
  }

  findName(name: string): NameRecords | undefined {
    return folded(name) === this.#name ? { addresses: this.#addresses } : undefined
  }

  findService(): undefined {
    return undefined
  }

  findAddress(address: string): string | undefined {
    return this.#addresses.includes(address) ? this.#name : undefined
  }
}

function folded(name: string): string {
  return name.toLowerCase().replace(/\.$/, '')
}
