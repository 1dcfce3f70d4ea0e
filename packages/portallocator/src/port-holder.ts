import { isErrno, type HeldPort } from '@net/netlink-ffi'
import type { CallOptions, Protocol, Turns } from '@net/types'
import type { DescriptorRoom } from './descriptor-room.ts'
import { DescriptorLimitError, NotHostAddressError } from './errors.ts'
import { EVERY_ADDRESS } from './host-address.ts'
import type { HoldPort } from './options.ts'

/** Ports in a row, on one address or on all. */
export interface Ports {
  readonly protocol: Protocol
  readonly first: number
  readonly count: number
  readonly address: string
}

/** The last of them. */
export function lastOf({ first, count }: Ports): number {
  return first + count - 1
}

/** Says which port could not be bound because somebody has it. */
export interface Refusal {
  readonly refused: number
  readonly cause: unknown
}

/** Ports opened or closed between two looks at the clock: some 0.2 ms. */
const STRIDE = 16

/** Holds ports by bound sockets, which are opened and closed while the event loop turns. */
export class PortHolder {
  readonly #hold: HoldPort
  readonly #room: DescriptorRoom
  readonly #turns: Turns

  constructor(hold: HoldPort, room: DescriptorRoom, turns: Turns) {
    this.#hold = hold
    this.#room = room
    this.#turns = turns
  }

  /** Sees to it that so many can be opened. @throws DescriptorLimitError (`ERR_DESCRIPTOR_LIMIT`) */
  makeRoom(count: number): void {
    this.#room.make(count)
  }

  /**
   * Holds all of them, or none and says which one somebody has.
   *
   * @throws DescriptorLimitError (`ERR_DESCRIPTOR_LIMIT`), NotHostAddressError (`ERR_NOT_HOST_ADDRESS`)
   */
  async open(ports: Ports, call?: CallOptions): Promise<readonly HeldPort[] | Refusal> {
    this.#room.promise(ports.count)
    const held: HeldPort[] = []
    let isWhole = false
    try {
      if (ports.count > STRIDE) await this.#room.enlarge()
      for (let at = 0; at < ports.count; at++) {
        if (at > 0 && at % STRIDE === 0) await this.#turns.take(call)
        const one = this.#holdOne(ports, ports.first + at)
        if (one === 'not held') break
        if ('cause' in one) return one
        this.#room.keep(1)
        held.push(one)
      }
      isWhole = true
      return held
    } finally {
      this.#room.keep(ports.count - held.length)
      if (!isWhole) await this.close(held)
    }
  }

  /**
   * Holds the first of them for a moment: whether the host has the address is known by that alone.
   *
   * @throws NotHostAddressError (`ERR_NOT_HOST_ADDRESS`), DescriptorLimitError (`ERR_DESCRIPTOR_LIMIT`)
   */
  probe(ports: Ports): Refusal | undefined {
    const one = this.#holdOne(ports, ports.first)
    if (one === 'not held') return undefined
    if ('cause' in one) return one
    one.close()
    return undefined
  }

  /** Lets them go. */
  async close(held: readonly HeldPort[]): Promise<void> {
    for (const [at, one] of held.entries()) {
      if (at > 0 && at % STRIDE === 0) await this.#turns.take()
      one.close()
    }
  }

  #holdOne({ protocol, address }: Ports, port: number): HeldPort | Refusal | 'not held' {
    try {
      return this.#hold({ protocol, port, address: address === EVERY_ADDRESS ? undefined : address })
    } catch (cause) {
      if (isErrno(cause, 'EADDRINUSE')) return { refused: port, cause }
      // A kernel without SCTP sockets: no program can have the port either.
      if (protocol === 'sctp' && isErrno(cause, 'EPROTONOSUPPORT', 'ESOCKTNOSUPPORT')) return 'not held'
      if (address !== EVERY_ADDRESS && isErrno(cause, 'EADDRNOTAVAIL')) throw new NotHostAddressError(address, cause)
      if (isErrno(cause, 'EMFILE', 'ENFILE')) throw DescriptorLimitError.reached(port, cause)
      throw cause
    }
  }
}
