import { countDescriptors, descriptorLimit, makeRoomForDescriptors, raiseDescriptorLimit } from '@net/netlink-ffi'
import { DescriptorLimitError } from './errors.ts'

/** How the process asks for descriptors. */
export interface Descriptors {
  count(): number
  limit(): { readonly soft: number; readonly hard: number }
  /** Throws where the kernel does not allow it. */
  raise(count: number): void
  /** Makes room in the kernel's table, so that nobody waits for it later. */
  makeRoom(count: number): Promise<void>
}

const ownDescriptors: Descriptors = {
  count: countDescriptors,
  limit: descriptorLimit,
  raise: raiseDescriptorLimit,
  makeRoom: makeRoomForDescriptors,
}

/** Left for whatever else the process opens meanwhile. */
const SPARE = 64
/** The limit is raised in steps, not by every port. */
const STEP = 1024

/** Sees to it that the process may open the sockets that hold ports, before the first of them is opened. */
export class DescriptorRoom {
  readonly #descriptors: Descriptors
  /** How many may be promised without another look. */
  #headroom = 0
  /** Promised, and not opened yet. */
  #promised = 0

  constructor(descriptors: Descriptors = ownDescriptors) {
    this.#descriptors = descriptors
  }

  /** Sees to it that `count` can be promised, all in one or one by one. @throws DescriptorLimitError (`ERR_DESCRIPTOR_LIMIT`) */
  make(count: number): void {
    if (count > this.#headroom) this.#look(count)
  }

  /**
   * Promises `count` descriptors; {@link DescriptorRoom.keep} says that they are open, or not needed any more.
   *
   * @throws DescriptorLimitError (`ERR_DESCRIPTOR_LIMIT`)
   */
  promise(count: number): void {
    this.make(count)
    this.#headroom -= count
    this.#promised += count
  }

  /** For many at once: the kernel makes room for all that are promised. */
  enlarge(): Promise<void> {
    return this.#descriptors.makeRoom(this.#promised + SPARE)
  }

  keep(count: number): void {
    this.#promised -= count
  }

  #look(count: number): void {
    const open = this.#descriptors.count() + this.#promised
    const needed = open + count + SPARE
    if (needed > this.#descriptors.limit().soft) this.#raise(count, needed)
    // Others open some too: half of what is left can be promised before the next look.
    this.#headroom = Math.max(count, Math.floor((this.#descriptors.limit().soft - open - SPARE) / 2))
  }

  #raise(count: number, needed: number): void {
    const { hard } = this.#descriptors.limit()
    const wanted = Math.ceil(needed / STEP) * STEP
    try {
      this.#descriptors.raise(needed <= hard ? Math.min(wanted, hard) : wanted)
    } catch (cause) {
      throw DescriptorLimitError.before(count, needed, hard, cause)
    }
  }
}
