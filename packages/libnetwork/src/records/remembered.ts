import type { DriverRegistry, NetworkDriver } from '@net/driverapi'
import type { StoredEndpoint, StoredNetwork } from './stored-forms.ts'

/** The network with what its driver remembers of it, which the store knows nothing of. */
export function readNetwork<T extends Pick<StoredNetwork, 'record'>>(stored: T, drivers: DriverRegistry): T {
  const { record } = stored
  const driver = drivers.get(record.driver)
  if (driver.readNetworkOptions === undefined) return stored
  return { ...stored, record: { ...record, options: driver.readNetworkOptions(record.options) } }
}

/** As {@link readNetwork}. */
export function readEndpoint<T extends Pick<StoredEndpoint, 'record'>>(stored: T, driver: NetworkDriver): T {
  let { options, joined } = stored.record
  if (driver.readEndpointOptions !== undefined) options = driver.readEndpointOptions(options)
  if (driver.readJoined !== undefined && joined !== undefined) joined = driver.readJoined(joined)
  return { ...stored, record: { ...stored.record, options, joined } }
}
