import koffi from 'koffi'

/** What a descriptor is waited for: that it can be read, that it can be written, or neither. */
export interface Interest {
  readonly readable: boolean
  readonly writable: boolean
}

/**
 * Waits for a descriptor from the event loop, for what is of interest at the time. Keeps no process alive. The callback
 * looks for errors too: they end every wait. Whoever waits holds this object: a handle that is collected goes deaf.
 */
export class Readiness {
  readonly #fd: number
  readonly #onReady: (what: Interest) => void
  #handle: ReturnType<typeof koffi.node.poll> | undefined
  #interest: Interest = { readable: false, writable: false }
  #closed = false

  constructor(fd: number, onReady: (what: Interest) => void) {
    this.#fd = fd
    this.#onReady = onReady
  }

  /** From now on the callback is called whenever one of these holds. */
  wait(interest: Interest): void {
    const { readable, writable } = this.#interest
    if (this.#closed || (interest.readable === readable && interest.writable === writable)) return
    this.#interest = interest
    this.#start()
  }

  /** Safe to call twice. */
  close(): void {
    this.#closed = true
    this.#handle?.close()
    this.#handle = undefined
  }

  #start(): void {
    const { readable, writable } = this.#interest
    if (!readable && !writable) {
      this.#handle?.stop()
    } else if (this.#handle === undefined) {
      this.#handle = koffi.node.poll(this.#fd, this.#interest, this.#call)
      this.#handle.unref()
    } else {
      this.#handle.start(this.#interest, this.#call)
    }
  }

  readonly #call = (...[status, what]: readonly unknown[]): void => {
    try {
      this.#onReady(what as Interest)
    } catch (error) {
      // Not from here: it would come out of the native call that is made next, whoever makes it.
      setImmediate(() => {
        throw error
      })
    }
    // The event loop gives up a descriptor that has an error to tell, and errors of sockets pass.
    if (status !== 0 && !this.#closed) this.#start()
  }
}
