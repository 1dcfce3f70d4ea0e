import type { IpamDriver } from '@net/ipamapi'
import type { IpamRegistry } from '../ipam-registry.ts'

/** The address managers of records that are opened. One that is not there is waited for once, however many networks it has. */
export class Managers {
  readonly #registry: IpamRegistry
  readonly #asked = new Map<string, Promise<IpamDriver>>()

  constructor(registry: IpamRegistry) {
    this.#registry = registry
  }

  /** Throws what {@link IpamRegistry.get} throws, the same each time. */
  get(name: string): Promise<IpamDriver> {
    const asked = this.#asked.get(name) ?? this.#registry.get(name)
    this.#asked.set(name, asked)
    return asked
  }
}
