import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A program that runs, started by a sandbox or by `child_process`. */
export interface Running extends Pick<ChildProcess, 'stdin' | 'stdout' | 'exitCode' | 'kill'> {
  once(event: 'exit', listener: () => void): unknown
  once(event: 'error', listener: (error: Error) => void): unknown
}

/** Starts a program in some network: that of a sandbox, of the host, of the outside client. */
export type Spawn = (
  command: string,
  args: readonly string[],
  options: { readonly stdio: ['pipe', 'pipe', 'inherit'] },
) => Running

/** What a client says of a server: the body of its answer, or why there was none. */
export type Answer = { readonly body: string } | { readonly failure: string }

/** A program that asks servers, in the network it runs in. */
export interface Client {
  /** @param url `http://HOST[:PORT]/` or `udp://HOST:PORT` */
  ask(url: string, options: { readonly timeoutMs: number }): Promise<Answer>
}

/** The programs that the demo started: all of them end with it. */
export class Programs {
  readonly #running: Program[] = []
  readonly #signal: AbortSignal

  /** @param signal gives up waiting for programs; it does not end them: {@link Programs.end} does */
  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  /** Starts a web and echo server that says who it is; resolves once it listens. */
  async startServer(spawn: Spawn, name: string): Promise<void> {
    await this.#start(spawn, 'server.mjs', name)
  }

  async startClient(spawn: Spawn, name: string): Promise<Client> {
    const program = await this.#start(spawn, 'client.mjs', name)
    return { ask: (url, { timeoutMs }) => orAborted(program.ask(url, timeoutMs), this.#signal) }
  }

  /** Ends all of them and waits for their ends. */
  async end(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((program) => program.end()))
  }

  async #start(spawn: Spawn, file: string, name: string): Promise<Program> {
    this.#signal.throwIfAborted()
    // Seen from src as from dist: the programs are plain JavaScript, and run as they are.
    const path = fileURLToPath(new URL(`../programs/${file}`, import.meta.url))
    const child = spawn(process.execPath, [path, name], { stdio: ['pipe', 'pipe', 'inherit'] })
    const program = new Program(child, `${file} of ${name}`)
    this.#running.push(program)
    await orAborted(program.ready, this.#signal)
    return program
  }
}

/** A running program that answers line by line. */
class Program {
  readonly ready: Promise<void>
  readonly #child: Running
  readonly #ended: Promise<void>
  readonly #waiting = new Map<number, Deferred<Answer>>()
  #asked = 0

  constructor(child: Running, what: string) {
    this.#child = child
    const ready = deferred<undefined>()
    this.ready = ready.promise
    // Nobody may be waiting for it when the program ends.
    this.ready.catch(() => undefined)
    this.#ended = new Promise((resolve) => {
      const settle = (cause?: Error): void => {
        const error = new Error(`${what} ended early`, { cause })
        ready.reject(error)
        for (const { reject } of this.#waiting.values()) reject(error)
        resolve()
      }
      child.once('exit', () => {
        settle()
      })
      child.once('error', settle)
    })
    // Writing to a program that has ended: its end is what is reported.
    child.stdin?.on('error', () => undefined)
    if (child.stdout === null) throw new Error(`${what} was started without a pipe`)
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line === 'ready') ready.resolve(undefined)
      else this.#take(line)
    })
  }

  ask(url: string, timeoutMs: number): Promise<Answer> {
    const id = ++this.#asked
    const answer = deferred<Answer>()
    this.#waiting.set(id, answer)
    this.#child.stdin?.write(`${JSON.stringify({ id, url, timeoutMs })}\n`)
    if (this.#child.exitCode !== null) answer.reject(new Error('the client has ended'))
    return answer.promise
  }

  async end(): Promise<void> {
    this.#child.kill()
    await this.#ended
  }

  #take(line: string): void {
    const { id, ...answer } = JSON.parse(line) as Answer & { readonly id: number }
    this.#waiting.get(id)?.resolve(answer)
    this.#waiting.delete(id)
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined
  let reject: (error: Error) => void = () => undefined
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

/** As `promise`, but rejects as soon as `signal` is aborted. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Whoever gave up does not hear of it any more.
  promise.catch(() => undefined)
  signal.throwIfAborted()
  const aborted = deferred<never>()
  const abort = (): void => {
    aborted.reject(signal.reason as Error)
  }
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
