/**
 * Host ports: taken, held and released.
 *
 * @packageDocumentation
 */

export type { Descriptors } from './descriptor-room.ts'
export {
  DescriptorLimitError,
  InvalidHoldError,
  InvalidPortRangeError,
  NoPortAvailableError,
  NotHostAddressError,
  PortInUseError,
} from './errors.ts'
export {
  openPortAllocator,
  type PortAllocator,
  type PortAllocatorDeps,
  type PortAllocatorOptions,
  type PortLease,
  type TakePortRequest,
} from './port-allocator.ts'
export type { PortRange } from './port-range.ts'
export type { HostProcess } from './socket-owner.ts'
