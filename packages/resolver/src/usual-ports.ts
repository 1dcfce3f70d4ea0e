import type { NetlinkMessage } from '@net/netlink-ffi'

/** 0 is any. */
export interface Ports {
  readonly udpPort: number
  readonly tcpPort: number
}

/** Where the sockets of a resolver are. */
export interface Listening extends Ports {
  readonly address: string
}

/**
 * What resolvers that share it got last: ports that other namespaces mostly have free as well, and the packet rules
 * that lead there, which need not be made again.
 */
export class UsualPorts {
  #listening: Listening | undefined
  #rules: readonly NetlinkMessage[] = []

  /** Undefined until a resolver had some. */
  get ports(): Ports | undefined {
    return this.#listening
  }

  /** The rules that lead to `listening`, made only where they are others than before. */
  rulesFor(listening: Listening, make: (listening: Listening) => readonly NetlinkMessage[]): readonly NetlinkMessage[] {
    if (!isSame(this.#listening, listening)) {
      this.#rules = make(listening)
      this.#listening = listening
    }
    return this.#rules
  }
}

function isSame(one: Listening | undefined, other: Listening): boolean {
  return one?.address === other.address && one.udpPort === other.udpPort && one.tcpPort === other.tcpPort
}
