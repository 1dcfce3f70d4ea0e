/** The last argument of everything that can wait. */
export interface CallOptions {
  /** Gives the call up: it rejects with the signal's reason and leaves nothing behind. */
  readonly signal?: AbortSignal | undefined
}
