import { Worker } from 'node:worker_threads'
import type { Capability } from '@net/netlink-ffi'
import { ClosedError } from '@net/types'
import type { Failure, Order, Program, Report, ThreadData } from './spawn/messages.ts'
import { SandboxProcess } from './spawn/sandbox-process.ts'
import { openStdio, type OpenedStdio, type Stdio } from './spawn/stdio.ts'

/** How a program is started, beside what it is. */
export interface StartOptions {
  /** @defaultValue three pipes */
  readonly stdio?: readonly Stdio[] | undefined
  /** What it may do of what only root may. @defaultValue nothing */
  readonly capabilities?: readonly Capability[] | undefined
  /** Ends it. */
  readonly signal?: AbortSignal | undefined
}

/** From the sources and from what is built of them, which lie in folders side by side. */
const THREAD = new URL('../dist/spawn-thread.js', import.meta.url)

/** What the wiring supplies to a {@link Spawner}. */
export interface SpawnerDeps {
  /** The program of its threads. @defaultValue `spawn-thread.ts` */
  readonly thread?: URL | undefined
}

/** Starts programs in sandboxes, by threads: one for programs of the same capabilities, from when it is first needed. */
export class Spawner {
  readonly #thread: URL
  readonly #threads = new Map<string, SpawnThread>()
  #closed = false

  constructor({ thread = THREAD }: SpawnerDeps = {}) {
    this.#thread = thread
  }

  /** @throws SystemCallError (`ERR_SYSTEM_CALL`), ClosedError (`ERR_CLOSED`) */
  start(program: Program, options: StartOptions = {}): SandboxProcess {
    const { stdio = ['pipe', 'pipe', 'pipe'], capabilities = [], signal } = options
    if (this.#closed) throw new ClosedError('executor')
    const sorted = [...new Set(capabilities)].sort()
    const key = sorted.join()
    let thread = this.#threads.get(key)
    if (thread === undefined) {
      thread = new SpawnThread(this.#thread, sorted, () => this.#threads.delete(key))
      this.#threads.set(key, thread)
    }
    const process = thread.start(program, stdio)
    if (signal !== undefined) endBy(process, signal)
    return process
  }

  /** Ends the threads, each once its programs have ended. Does not wait for that. */
  close(): void {
    this.#closed = true
    for (const thread of this.#threads.values()) thread.close()
  }
}

/** As `child_process` does it: the program is told to end, and whoever waits for it hears why. */
function endBy(process: SandboxProcess, signal: AbortSignal): void {
  const abort = (): void => {
    process.abort(signal.reason)
  }
  if (signal.aborted) queueMicrotask(abort)
  else signal.addEventListener('abort', abort, { once: true })
  process.once('close', () => {
    signal.removeEventListener('abort', abort)
  })
}

function errorOf({ message, properties }: Failure): Error {
  return Object.assign(new Error(message), properties)
}

interface Started {
  readonly process: SandboxProcess
  readonly opened: OpenedStdio
}

/** A thread and the programs it runs. It keeps this process alive for as long as there are such. */
class SpawnThread {
  readonly #worker: Worker
  readonly #programs = new Map<number, Started>()
  #count = 0
  #closing = false

  constructor(program: URL, capabilities: readonly Capability[], onEnd: () => void) {
    const data: ThreadData = { capabilities }
    this.#worker = new Worker(program, { workerData: data, execArgv: [], stdin: false })
    this.#worker.unref()
    this.#worker.on('message', (report: Report) => {
      this.#heed(report)
    })
    this.#worker.once('error', (error) => {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    })
    this.#worker.once('exit', () => {
      onEnd()
      this.#fail(new Error('the thread that starts programs has ended'))
    })
  }

  start(program: Program, stdio: readonly Stdio[]): SandboxProcess {
    const id = this.#count++
    const opened = openStdio(stdio)
    const process = new SandboxProcess(program.command, program.args, opened.streams, (signal) => {
      this.#tell({ kind: 'kill', id, signal })
    })
    this.#programs.set(id, { process, opened })
    this.#worker.ref()
    this.#tell({ kind: 'start', id, program, stdio: opened.descriptors })
    return process
  }

  close(): void {
    this.#closing = true
    this.#rest()
  }

  #tell(order: Order): void {
    this.#worker.postMessage(order)
  }

  #heed(report: Report): void {
    const program = this.#programs.get(report.id)
    if (program === undefined) return
    program.opened.handedOver()
    switch (report.kind) {
      case 'started':
        program.process.started(report.pid)
        return
      case 'failed':
        this.#forget(report.id)
        program.process.failed(errorOf(report.failure))
        return
      case 'exited':
        this.#forget(report.id)
        program.process.exited(report.code, report.signal)
    }
  }

  #forget(id: number): void {
    this.#programs.delete(id)
    this.#rest()
  }

  /** With nothing to do, the thread keeps nobody alive; when closing, it ends. */
  #rest(): void {
    if (this.#programs.size > 0) return
    this.#worker.unref()
    if (this.#closing) void this.#worker.terminate()
  }

  /** The thread is gone, and with it what becomes of its programs. */
  #fail(error: Error): void {
    for (const { process, opened } of this.#programs.values()) {
      opened.handedOver()
      process.failed(error)
    }
    this.#programs.clear()
  }
}
