import { EventEmitter, once } from 'node:events'
import { Readable, type Writable } from 'node:stream'

/** The events of a {@link SandboxProcess}, as `child_process` has them. */
export interface SandboxProcessEvents {
  spawn: []
  error: [error: Error]
  exit: [code: number | null, signal: NodeJS.Signals | null]
  close: [code: number | null, signal: NodeJS.Signals | null]
}

/** The streams of a process, its own ends. */
export interface ProcessStreams {
  readonly stdin: Writable | null
  readonly stdout: Readable | null
  readonly stderr: Readable | null
  /** All of them, by descriptor; null where there is no pipe. */
  readonly stdio: readonly (Readable | Writable | null)[]
}

/**
 * A program that runs in a sandbox: used as the result of `child_process.spawn` is. It is started by a thread, so `pid`
 * is known from the event `spawn` on; what is written to `stdin` before that is read by the program all the same.
 */
export class SandboxProcess extends EventEmitter<SandboxProcessEvents> {
  readonly spawnfile: string
  readonly spawnargs: readonly string[]
  readonly stdin: Writable | null
  readonly stdout: Readable | null
  readonly stderr: Readable | null
  readonly stdio: readonly (Readable | Writable | null)[]
  #pid: number | undefined
  #exitCode: number | null = null
  #signalCode: NodeJS.Signals | null = null
  #killed = false
  #ended = false
  readonly #kill: (signal: number | NodeJS.Signals | undefined) => void

  /** @internal Processes come from `sandbox.spawn`. */
  constructor(
    command: string,
    args: readonly string[],
    streams: ProcessStreams,
    kill: (signal: number | NodeJS.Signals | undefined) => void,
  ) {
    super()
    this.spawnfile = command
    this.spawnargs = [command, ...args]
    this.stdin = streams.stdin
    this.stdout = streams.stdout
    this.stderr = streams.stderr
    this.stdio = streams.stdio
    this.#kill = kill
  }

  /** Id of the process; undefined before `spawn` is emitted, and where it could not be started. */
  get pid(): number | undefined {
    return this.#pid
  }

  /** Null while it runs, and where a signal ended it. */
  get exitCode(): number | null {
    return this.#exitCode
  }

  /** The signal that ended it. */
  get signalCode(): NodeJS.Signals | null {
    return this.#signalCode
  }

  /** Whether a signal was sent to it from here. */
  get killed(): boolean {
    return this.#killed
  }

  /** Sends it a signal; false where it has ended. One that is sent before it has started reaches it once it has. @defaultValue 'SIGTERM' */
  kill(signal?: number | NodeJS.Signals): boolean {
    if (this.#ended) return false
    this.#kill(signal)
    if (signal !== 0) this.#killed = true
    return true
  }

  /** @internal Ends it, because `reason`. */
  abort(reason: unknown): void {
    if (!this.kill()) return
    this.emit(
      'error',
      Object.assign(new Error('the operation was aborted', { cause: reason }), {
        name: 'AbortError',
        code: 'ABORT_ERR',
      }),
    )
  }

  /** @internal */
  started(pid: number): void {
    this.#pid = pid
    this.emit('spawn')
  }

  /** @internal It never ran, or nobody knows what becomes of it. */
  failed(error: Error): void {
    this.#ended = true
    for (const stream of this.stdio) stream?.destroy()
    this.emit('error', error)
    // Later, as after an exit: whoever has heard of the error can still wait for it.
    setImmediate(() => {
      void this.#closed().then(() => this.emit('close', null, null))
    })
  }

  /** @internal */
  exited(code: number | null, signal: NodeJS.Signals | null): void {
    this.#ended = true
    this.#exitCode = code
    this.#signalCode = signal
    // Nobody reads on the other side any more.
    this.stdin?.destroy()
    for (const stream of this.stdio.slice(1)) discardUnread(stream)
    this.emit('exit', code, signal)
    void this.#closed().then(() => this.emit('close', code, signal))
  }

  /** Resolves when all that it wrote was read. */
  async #closed(): Promise<void> {
    for (const stream of this.stdio.slice(1)) if (stream?.closed === false) await once(stream, 'close')
  }
}

/** What nobody has begun to read would keep the process from ever being closed. */
function discardUnread(stream: Readable | Writable | null): void {
  if (!(stream instanceof Readable) || stream.readableFlowing !== null) return
  if (stream.listenerCount('readable') === 0) stream.resume()
}
