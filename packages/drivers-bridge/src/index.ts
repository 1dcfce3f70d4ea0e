/**
 * The bridge network driver.
 *
 * @packageDocumentation
 */

export { bridgeDriver } from './bridge-driver.ts'
export {
  BridgeAddressError,
  BridgeInUseError,
  BridgeMissingError,
  InterfaceNameTakenError,
  InternalNetworkError,
  InvalidOptionError,
  NotABridgeError,
} from './errors.ts'
export type { BridgeEndpointOptions, BridgeOptions, GatewayMode } from './options.ts'
