/** Another program that puts containers on networks. */
export interface Peer {
  readonly name: string
  /** Puts the namespace at `path`, which is there already, on a network, with a published port or without. */
  attach(container: PeerContainer): void
  detach(container: PeerContainer): void
  /** Starts its processes as often as an attach does, to do nothing. */
  startOnly(withPort: boolean): void
  /** Removes what is left of its network. */
  close(): void
}

export interface PeerContainer {
  readonly path: string
  /** Counts from 0. */
  readonly number: number
  readonly hostPort: number | undefined
}
