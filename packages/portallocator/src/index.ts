/**
 * Host ports: taken, held and released.
 *
 * @packageDocumentation
 */

export { InvalidPortRangeError, NoPortAvailableError, NotHostAddressError, PortInUseError } from './errors.ts'
export {
  openPortAllocator,
  type PortAllocator,
  type PortAllocatorDeps,
  type PortAllocatorOptions,
  type PortLease,
  type TakePortRequest,
} from './port-allocator.ts'
export type { PortRange } from './port-range.ts'
