/**
 * The bridge network driver.
 *
 * @packageDocumentation
 */

export { bridgeDriver } from './bridge-driver.ts'
export { BridgeInUseError, InterfaceNameTakenError, InternalNetworkError, InvalidOptionError } from './errors.ts'
export type { BridgeEndpointOptions, BridgeOptions } from './labels.ts'
