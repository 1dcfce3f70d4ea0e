import { holdPort, listBoundSocketsOffLoop, type HeldPort, type HoldPortRequest } from '@net/netlink-ffi'
import { Turns } from '@net/types'
import type { ListBoundSockets } from './bound-ports.ts'
import { DescriptorRoom, type Descriptors } from './descriptor-room.ts'
import { InvalidHoldError } from './errors.ts'
import { PortHolder } from './port-holder.ts'
import { checkRange, kernelEphemeralRange, type PortRange } from './port-range.ts'

/** What can be chosen about a PortAllocator. */
export interface PortAllocatorOptions {
  /** Where ports that nobody chose come from. @defaultValue the kernel's ip_local_port_range */
  readonly ephemeral?: PortRange | undefined
  /**
   * Whether ports are kept from other programs of the host, and those that one has are refused. Without, only leases
   * of this allocator are kept apart. @defaultValue true
   */
  readonly hold?: boolean | undefined
  /**
   * A lease of so many ports at most is held by bound sockets as long as it lasts: a descriptor and some 4 KB of the
   * kernel's memory each. Of a larger one the kernel is asked once, when it is taken, whether a program has one of its
   * ports; a program that binds one later is not refused, and hears nothing while the port leads elsewhere. 0: no
   * sockets, but for a moment of one that tells whether the host has the address.
   * @defaultValue 1024
   */
  readonly holdAtMost?: number | undefined
}

/** Holds a port of the host. Throws as the `holdPort` of @net/netlink-ffi does. */
export type HoldPort = (request: HoldPortRequest) => HeldPort

/** What the wiring supplies to a PortAllocator. */
export interface PortAllocatorDeps {
  readonly turns?: Turns | undefined
  /** Holds a port of the host. @defaultValue a bound socket of the namespace that `take` is called in */
  readonly holdPort?: HoldPort | undefined
  /** Tells of the sockets of other programs. @defaultValue what the kernel says of the namespace that `take` is called in */
  readonly listBoundSockets?: ListBoundSockets | undefined
  /** How many descriptors this process may have. @defaultValue its RLIMIT_NOFILE, raised where that is allowed */
  readonly descriptors?: Descriptors | undefined
}

/** More would be a large part of the descriptors that a process has by default. */
const HOLD_AT_MOST = 1024

/** What an allocator works with, nothing left open. */
export interface Means {
  readonly ephemeral: PortRange
  readonly holdAtMost: number
  /** Whether the host has a say on ports that no socket holds. */
  readonly asksHost: boolean
  readonly list: ListBoundSockets
  readonly holder: PortHolder
  readonly turns: Turns
}

/** @throws `ERR_INVALID_PORT_RANGE`, `ERR_INVALID_HOLD` */
export function resolveOptions(options: PortAllocatorOptions, deps: PortAllocatorDeps): Means {
  const { ephemeral = kernelEphemeralRange(), hold = true, holdAtMost = HOLD_AT_MOST } = options
  if (!Number.isInteger(holdAtMost) || holdAtMost < 0 || holdAtMost > 65_535) throw new InvalidHoldError(holdAtMost)
  const turns = deps.turns ?? new Turns()
  return {
    ephemeral: checkRange(ephemeral),
    holdAtMost: hold ? holdAtMost : 0,
    asksHost: hold,
    list: hold ? (deps.listBoundSockets ?? listBoundSocketsOffLoop) : () => [],
    holder: new PortHolder(deps.holdPort ?? holdPort, new DescriptorRoom(deps.descriptors), turns),
    turns,
  }
}
