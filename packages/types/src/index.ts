/**
 * What every package shares: errors, ids, addresses, ports, labels, logging, clean-up and turn-taking.
 * Imports nothing of Node.
 *
 * @packageDocumentation
 */

export {
  addressBits,
  addressFromBytes,
  addressToBytes,
  cidrsOverlap,
  containsAddress,
  formatAddress,
  formatCidr,
  isAddress,
  isCidr,
  networkOf,
  parseAddress,
  parseCidr,
  rangeOf,
  withoutPrefixLength,
  type Address,
  type AddressFamily,
  type Cidr,
} from './address.ts'
export { Backoff, type BackoffOptions } from './backoff.ts'
export type { CallOptions } from './call-options.ts'
export {
  ClosedError,
  InvalidAddressError,
  InvalidCidrError,
  InvalidMacAddressError,
  InvalidPortError,
  isNetError,
  NetError,
  NotImplementedError,
  type ErrorKind,
  type NetErrorOptions,
} from './errors.ts'
export { randomBytes, randomId, shortId } from './id.ts'
export { isInterfaceName } from './interface-name.ts'
export { labels, parseLabel } from './labels.ts'
export { logFields, silentLogger, type Logger } from './logger.ts'
export {
  linkLocalAddressOf,
  macAddressFromBytes,
  macAddressOf,
  macAddressToBytes,
  parseMacAddress,
  randomMacAddress,
} from './mac-address.ts'
export { KeyedMutex, Mutex } from './mutex.ts'
export {
  checkPort,
  checkPortCount,
  formatPorts,
  formatTransportPort,
  isProtocol,
  parseTransportPort,
  protocolNumbers,
  type Protocol,
  type TransportPort,
} from './port.ts'
export { RangeMap, type RangeEntry } from './range-map.ts'
export { Rollback } from './rollback.ts'
export { Turns } from './turns.ts'
export { unlessAborted } from './unless-aborted.ts'
