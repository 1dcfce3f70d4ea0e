import type { Protocol } from '@net/types'

/** Which ports are taken, by protocol and address. Knows nothing of the kernel. */
export class PortBook {
  /** Addresses by `protocol/port`; the empty string stands for every address. */
  readonly #taken = new Map<string, Set<string>>()

  /** Who is in the way of taking `port` on `address` (absent: on every address), or undefined. */
  conflict(protocol: Protocol, port: number, address: string | undefined): string | undefined {
    const holders = this.#taken.get(`${protocol}/${port}`)
    if (holders === undefined) return undefined
    if (holders.has('')) return 'every address'
    if (address === undefined) return [...holders][0]
    return holders.has(address) ? address : undefined
  }

  add(protocol: Protocol, port: number, address: string | undefined): void {
    const key = `${protocol}/${port}`
    const holders = this.#taken.get(key)
    if (holders === undefined) this.#taken.set(key, new Set([address ?? '']))
    else holders.add(address ?? '')
  }

  remove(protocol: Protocol, port: number, address: string | undefined): void {
    const key = `${protocol}/${port}`
    const holders = this.#taken.get(key)
    if (holders?.delete(address ?? '') === true && holders.size === 0) this.#taken.delete(key)
  }
}
