import { inNamespace, type Synchronous } from '@net/netlink-ffi'

/** From which network namespace a server is asked. */
export type Place = 'sandbox' | 'host'

/** Does something synchronous in one of the two namespaces: opening a socket there, say. */
export interface Places {
  at<T>(place: Place, work: () => Synchronous<T>): T
}

/**
 * The host is where the calling thread is; the sandbox where `namespaceFd` is open on, or the host
 * as well when there is none. Borrows the descriptor.
 */
export function placesOf(namespaceFd: number | undefined): Places {
  return {
    at: (place, work) => (place === 'host' || namespaceFd === undefined ? work() : inNamespace(namespaceFd, work)),
  }
}
