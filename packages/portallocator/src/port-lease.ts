import type { CallOptions, Protocol } from '@net/types'
import { EVERY_ADDRESS } from './host-address.ts'
import type { Ports } from './port-holder.ts'

/** A port, or several in a row, that are ours until they are released. */
export interface PortLease extends AsyncDisposable {
  readonly address: string | undefined
  readonly protocol: Protocol
  /** The first of them. */
  readonly port: number
  readonly count: number
  /** Lets them go: resolves when others can have them. Safe to call twice. */
  release(): Promise<void>
}

/** Ports that are kept from other leases, and from other programs once they are held. */
export interface BookedPorts extends PortLease {
  /**
   * Keeps them from other programs, too, and says whether they are kept: not when they were let go. Safe to call twice.
   *
   * @throws `ERR_PORT_IN_USE` where a program has one, `ERR_NOT_HOST_ADDRESS`, `ERR_DESCRIPTOR_LIMIT`, `ERR_CLOSED`
   */
  hold(call?: CallOptions): Promise<boolean>
}

/** A lease that lets go once, however often it is asked to. */
export class Lease implements BookedPorts {
  readonly address: string | undefined
  readonly protocol: Protocol
  readonly port: number
  readonly count: number
  readonly #letGo: () => Promise<void>
  readonly #hold: (call?: CallOptions) => Promise<void>
  #released: Promise<void> | undefined

  /** `hold` does nothing for one that is held already. */
  constructor(
    { protocol, first, count, address }: Ports,
    { letGo, hold }: { readonly letGo: () => Promise<void>; readonly hold: (call?: CallOptions) => Promise<void> },
  ) {
    this.protocol = protocol
    this.port = first
    this.count = count
    this.address = address === EVERY_ADDRESS ? undefined : address
    this.#letGo = letGo
    this.#hold = hold
  }

  async hold(call?: CallOptions): Promise<boolean> {
    if (this.#released === undefined) await this.#hold(call)
    return this.#released === undefined
  }

  release(): Promise<void> {
    return (this.#released ??= this.#letGo())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }
}
