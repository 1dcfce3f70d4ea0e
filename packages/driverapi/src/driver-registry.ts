import { DriverExistsError, InvalidDriverTypeError, NoSuchDriverError } from './errors.ts'
import type { NetworkDriver } from './network-driver.ts'

/** The network drivers of a controller, by type. */
export class DriverRegistry {
  readonly #drivers = new Map<string, NetworkDriver>()

  /** @throws `ERR_DRIVER_EXISTS` when the type is taken, `ERR_INVALID_DRIVER_TYPE` when it is blank */
  add(driver: NetworkDriver): void {
    if (driver.type.trim() === '') throw new InvalidDriverTypeError(driver.type)
    if (this.#drivers.has(driver.type)) throw new DriverExistsError(driver.type)
    this.#drivers.set(driver.type, driver)
  }

  /** @throws `ERR_NO_SUCH_DRIVER`, with those that are known */
  get(type: string): NetworkDriver {
    const driver = this.#drivers.get(type)
    if (driver === undefined) throw new NoSuchDriverError(type, this.types())
    return driver
  }

  find(type: string): NetworkDriver | undefined {
    return this.#drivers.get(type)
  }

  /** The registered types, in the order of registration. */
  types(): readonly string[] {
    return [...this.#drivers.keys()]
  }
}
