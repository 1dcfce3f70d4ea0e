import { ClosedError, isNetError, Mutex, silentLogger, type CallOptions, type Logger } from '@net/types'
import { ControlConnection } from './control/control-connection.ts'
import { createControlFolder, removeControlFolder } from './control/control-folder.ts'
import { FORWARDS_PER_MESSAGE } from './control/messages.ts'
import { ProxyGoneError, ProxyStartError, ProxyTimeoutError } from './errors.ts'
import { checkForward, forwardKey, isSameForward, type Forward } from './forward.ts'
import { Restarts } from './restarts.ts'
import { startProcess } from './start-process.ts'

/** What can be chosen about a {@link ProxyProcess}. */
export interface ProxyProcessOptions {
  /** Folder of the process' control socket: made when it is needed, and nobody else may enter it. */
  readonly folder: string
  /** Whether the process goes on when this one ends without a word. @defaultValue true */
  readonly outlives?: boolean | undefined
  /** How long the process may take to start. @defaultValue 16000 */
  readonly startTimeoutMs?: number | undefined
  /**
   * How long to wait before each attempt to start a process again that was killed. After the last, and with none, it is
   * left to whatever is asked for next. One that lasts longer than the longest of them begins anew.
   * @defaultValue 0, 100, and twice as long each time, up to 25600
   */
  readonly restartDelaysMs?: readonly number[] | undefined
}

/** What the wiring supplies to a {@link ProxyProcess}. */
export interface ProxyProcessDeps {
  /**
   * Called before the process binds the ports of these forwards (SO_REUSEPORT), for whoever holds them; what it returns
   * is disposed of when that is done.
   */
  readonly makeRoom?: ((forwards: readonly Forward[]) => Disposable) | undefined
  /**
   * Told when the process ends though it is needed; and once more, with an error, when it could not be started again and
   * is left to whatever is asked for next.
   */
  readonly onLost?: ((error?: Error) => void) | undefined
  /** Told when what was lost is served again. */
  readonly onRestored?: (() => void) | undefined
  readonly logger?: Logger | undefined
}

/** What is to be different. */
export interface ForwardChange {
  readonly add?: readonly Forward[]
  readonly remove?: readonly Forward[]
}

const START_ATTEMPTS = 3
const RESTART_DELAYS_MS = [0, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600]

/**
 * The one process that serves all forwards of a controller. It is started when the first is wanted, ends by itself
 * after the last, and one that was killed is started again at once, with all that is wanted.
 */
export class ProxyProcess implements AsyncDisposable {
  readonly #folder: string
  readonly #outlives: boolean
  readonly #startTimeoutMs: number
  readonly #deps: ProxyProcessDeps
  readonly #logger: Logger
  readonly #lock = new Mutex()
  readonly #wanted = new Map<string, Forward>()
  /** What the process serves. */
  readonly #there = new Map<string, Forward>()
  readonly #restarts: Restarts
  #connection: ControlConnection | undefined
  /** What was told last about the process: a lost one is started again, until that is given up. */
  #state: 'served' | 'lost' | 'given up' = 'served'
  #closing: Promise<void> | undefined

  /** Use {@link openProxyProcess}. */
  constructor(options: ProxyProcessOptions, deps: ProxyProcessDeps) {
    this.#folder = options.folder
    this.#outlives = options.outlives ?? true
    this.#startTimeoutMs = options.startTimeoutMs ?? 16_000
    this.#deps = deps
    this.#logger = deps.logger ?? silentLogger
    this.#restarts = new Restarts(options.restartDelaysMs ?? RESTART_DELAYS_MS, () => void this.#restart())
  }

  /** Id of the process, while there is one. */
  get pid(): number | undefined {
    return this.#connection?.pid
  }

  /** What the process serves. */
  get forwards(): readonly Forward[] {
    return [...this.#there.values()]
  }

  /**
   * Serves these and no others. Asking for the same again does nothing, but for starting a process that was killed.
   *
   * @throws `ERR_INVALID_FORWARD`, `ERR_PROXY_START`, `ERR_PROXY_TIMEOUT`, `ERR_PROXY_REFUSED`, `ERR_PROXY_GONE`, `ERR_CLOSED`
   */
  async apply(forwards: readonly Forward[], call?: CallOptions): Promise<void> {
    const wanted = keyed(forwards)
    using _lock = await this.#enter(call)
    this.#wanted.clear()
    for (const [key, forward] of wanted) this.#wanted.set(key, forward)
    await this.#settle(undefined, call)
  }

  /** Serves some more or fewer: all of it, or nothing is changed. Throws as {@link ProxyProcess.apply} does. */
  async change({ add = [], remove = [] }: ForwardChange, call?: CallOptions): Promise<void> {
    const [added, removed] = [keyed(add), keyed(remove)]
    using _lock = await this.#enter(call)
    const keys = [...removed.keys(), ...added.keys()]
    const before = keys.map((key) => [key, this.#wanted.get(key)] as const)
    for (const key of removed.keys()) this.#wanted.delete(key)
    for (const [key, forward] of added) this.#wanted.set(key, forward)
    try {
      await this.#settle(keys, call)
    } catch (error) {
      for (const [key, forward] of before) {
        if (forward === undefined) this.#wanted.delete(key)
        else this.#wanted.set(key, forward)
      }
      await this.#restore(keys)
      throw error
    }
  }

  /** Connects to a process that serves already. @internal {@link openProxyProcess} does. */
  async adopt(): Promise<void> {
    using _lock = await this.#enter()
    const signal = AbortSignal.timeout(this.#startTimeoutMs)
    try {
      if (this.#connection === undefined) await this.#connect({ signal })
    } catch (error) {
      if (!signal.aborted) throw error
      throw new ProxyTimeoutError(this.#startTimeoutMs, `asking the userland proxy in ${this.#folder}`)
    }
  }

  /** Lets the process go on alone, if it outlives this one; where there is none, its folder goes. Safe to call twice. */
  close(): Promise<void> {
    this.#restarts.cancel()
    return (this.#closing ??= this.#leave())
  }

  async #leave(): Promise<void> {
    using _lock = await this.#lock.lock()
    // One that we have given up waiting for may serve all the same; one that is about to end may still be reached.
    const connection = this.#connection ?? (await this.#find())
    if (connection === undefined) removeControlFolder(this.#folder)
    else await connection.close()
  }

  /** A process that goes on, or does not say in time that it does not. */
  async #find(): Promise<ControlConnection | undefined> {
    const connection = await ControlConnection.connect(this.#folder)
    if (connection === undefined) return undefined
    const signal = AbortSignal.timeout(this.#startTimeoutMs)
    try {
      return (await listOf(connection, { signal })) === undefined ? undefined : connection
    } catch {
      return connection
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #enter(call?: CallOptions): Promise<Disposable> {
    const lock = await this.#lock.lock(call)
    if (this.#closing === undefined) return lock
    lock[Symbol.dispose]()
    throw new ClosedError('proxy process')
  }

  /** Makes the process serve what is wanted, at these keys or at all. */
  async #settle(keys?: readonly string[], call?: CallOptions): Promise<void> {
    await this.#settleWith(this.#connection, keys, call)
    if (this.#connection === undefined || !this.#isAllServed()) return
    this.#restarts.served()
    if (this.#state !== 'served') this.#deps.onRestored?.()
    this.#state = 'served'
  }

  #isAllServed(): boolean {
    return this.#state === 'served' || this.#allKeys().every((key) => this.#isSettled(key))
  }

  #isSettled(key: string): boolean {
    return isSameForward(this.#there.get(key), this.#wanted.get(key))
  }

  async #settleWith(
    connection: ControlConnection | undefined,
    keys?: readonly string[],
    call?: CallOptions,
  ): Promise<void> {
    try {
      if (connection === undefined) await this.#settleAnew(call)
      else await this.#bring(connection, new Set(keys ?? this.#allKeys()), call)
    } catch (error) {
      if (connection === undefined || !isNetError(error, 'ERR_PROXY_GONE')) throw error
      // It had been killed, and we were the first to notice.
      await connection.untilClosed()
      await this.#settleAnew(call)
    }
  }

  /** As {@link ProxyProcess.#settle}, with a process that is new to us: it may serve anything, or nothing. */
  async #settleAnew(call?: CallOptions): Promise<void> {
    const connection = (await this.#connect(call)) ?? (await this.#start())
    if (connection !== undefined) await this.#bring(connection, new Set(this.#allKeys()), call)
  }

  #allKeys(): string[] {
    return [...this.#there.keys(), ...this.#wanted.keys()]
  }

  async #bring(connection: ControlConnection, keys: ReadonlySet<string>, call?: CallOptions): Promise<void> {
    const differing = [...keys].filter((key) => !this.#isSettled(key))
    // Those that only go are last: a process that serves nothing ends.
    differing.sort((one, other) => Number(this.#wanted.has(other)) - Number(this.#wanted.has(one)))
    for (let from = 0; from < differing.length; from += FORWARDS_PER_MESSAGE) {
      await this.#exchange(connection, differing.slice(from, from + FORWARDS_PER_MESSAGE), call)
    }
    // Its last forward gone, it ends: whoever comes next finds nobody.
    if (this.#there.size === 0 && differing.length > 0) await connection.untilClosed()
  }

  async #exchange(connection: ControlConnection, keys: readonly string[], call?: CallOptions): Promise<void> {
    const remove = keys.flatMap((key) => this.#there.get(key) ?? [])
    const add = keys.flatMap((key) => this.#wanted.get(key) ?? [])
    {
      using _room = this.#deps.makeRoom?.([...remove, ...add])
      await connection.change({ remove, add }, call)
    }
    for (const key of keys) this.#there.delete(key)
    for (const forward of add) this.#there.set(forwardKey(forward), forward)
  }

  /** After a change that failed. What fails again is done by whatever is asked for next. */
  async #restore(keys: readonly string[]): Promise<void> {
    try {
      await this.#settle(keys)
    } catch (error) {
      this.#logger.warn({ err: error }, 'userland proxy does not serve what it served')
    }
  }

  async #start(attempts = START_ATTEMPTS): Promise<ControlConnection | undefined> {
    if (this.#wanted.size === 0) return undefined
    createControlFolder(this.#folder)
    const args = ['--control', this.#folder, ...(this.#outlives ? [] : ['--ends-with-client'])]
    const failure = await failureOf(startProcess(args, { timeoutMs: this.#startTimeoutMs }))
    // One that a killed predecessor of ours began to start may have been there first: it does as well.
    const connection = await this.#connect()
    // Or it was there, served nothing, and ended when ours had looked at it.
    if (connection === undefined && failure instanceof ProxyStartError && attempts > 1) return this.#start(attempts - 1)
    if (connection === undefined) throw failure ?? new ProxyStartError('it ended at once')
    this.#logger.info({ proxyPid: connection.pid }, 'userland proxy started')
    return connection
  }

  async #connect(call?: CallOptions): Promise<ControlConnection | undefined> {
    const connection = await ControlConnection.connect(this.#folder)
    if (connection === undefined) return undefined
    const forwards = await listOf(connection, call)
    if (forwards === undefined) return undefined
    this.#connection = connection
    this.#there.clear()
    for (const [key, forward] of keyed(forwards)) this.#there.set(key, forward)
    void connection.closed.then(() => {
      this.#forget(connection)
    })
    return connection
  }

  #forget(connection: ControlConnection): void {
    if (this.#connection !== connection) return
    this.#connection = undefined
    this.#there.clear()
    if (this.#wanted.size === 0 || this.#closing !== undefined) return
    this.#logger.warn({ proxyPid: connection.pid }, 'userland proxy ended though it is needed')
    this.#state = 'lost'
    this.#deps.onLost?.()
    this.#retry(new ProxyGoneError())
  }

  #retry(reason: unknown): void {
    if (this.#state !== 'lost' || this.#closing !== undefined || this.#restarts.schedule()) return
    this.#state = 'given up'
    this.#logger.error({ err: reason }, 'userland proxy is not started again')
    this.#deps.onLost?.(reason instanceof Error ? reason : new Error(String(reason)))
  }

  /** Whoever asked for something meanwhile may have done it. */
  async #restart(): Promise<void> {
    try {
      using _lock = await this.#enter()
      if (this.#state === 'lost') await this.#settle()
    } catch (error) {
      this.#retry(error)
    }
  }
}

/**
 * Opens the proxy process of a folder: one that an earlier process of ours started is found again, with what it serves.
 * None is started yet.
 *
 * @throws `ERR_PROXY_TIMEOUT` where it does not answer
 */
export async function openProxyProcess(
  options: ProxyProcessOptions,
  deps: ProxyProcessDeps = {},
): Promise<ProxyProcess> {
  const proxy = new ProxyProcess(options, deps)
  await proxy.adopt()
  return proxy
}

/** What it serves; undefined when it was about to end. */
async function listOf(connection: ControlConnection, call?: CallOptions): Promise<readonly Forward[] | undefined> {
  try {
    return await connection.list(call)
  } catch (error) {
    if (isNetError(error, 'ERR_PROXY_GONE')) return undefined
    throw error
  }
}

async function failureOf(work: Promise<void>): Promise<Error | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function keyed(forwards: readonly Forward[]): Map<string, Forward> {
  return new Map(forwards.map(checkForward).map((forward) => [forwardKey(forward), forward]))
}
