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
export type { PortAllocatorDeps, PortAllocatorOptions } from './options.ts'
export { openPortAllocator, type PortAllocator } from './port-allocator.ts'
export type { BookedPorts, PortLease } from './port-lease.ts'
export type { PortRange } from './port-range.ts'
export type { BookPortRequest, TakePortRequest } from './port-request.ts'
export type { HostProcess } from './socket-owner.ts'
