import type { Protocol } from '@net/types'
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

/** A lease that lets go once, however often it is asked to. */
export class Lease implements PortLease {
  readonly address: string | undefined
  readonly protocol: Protocol
  readonly port: number
  readonly count: number
  readonly #letGo: () => Promise<void>
  #released: Promise<void> | undefined

  constructor({ protocol, first, count, address }: Ports, letGo: () => Promise<void>) {
    this.protocol = protocol
    this.port = first
    this.count = count
    this.address = address === EVERY_ADDRESS ? undefined : address
    this.#letGo = letGo
  }

  release(): Promise<void> {
    return (this.#released ??= this.#letGo())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }
}
