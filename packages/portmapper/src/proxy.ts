import { AnsweringSocket, isErrno, listenStream, SctpListener, type ListenOptions } from '@net/netlink-ffi'
import { ClosedError, silentLogger, Turns, type CallOptions, type Logger } from '@net/types'
import { ForwardExistsError, SctpUnsupportedError } from './errors.ts'
import { checkForward, formatForward, forwardKey, type Forward } from './forward.ts'
import type { ServedPort, ServingDeps } from './served-port.ts'
import { serveSctpPort } from './sctp-port.ts'
import { serveTcpPort } from './tcp-port.ts'
import { serveUdpPort } from './udp-port.ts'

/** What can be chosen about a {@link UserlandProxy}. */
export interface ProxyOptions {
  /** A UDP client is forgotten after so long without a datagram either way. @defaultValue 90000 */
  readonly udpIdleMs?: number | undefined
  /** Clients of a UDP port at a time; a further one takes the place of the one silent for the longest. @defaultValue 1024 */
  readonly udpClients?: number | undefined
  /** Let whoever holds the ports as shared, of the same user, go on holding them. @defaultValue false */
  readonly isShared?: boolean | undefined
}

/** What the wiring supplies to a {@link UserlandProxy}. */
export interface ProxyDeps {
  readonly turns?: Turns | undefined
  readonly logger?: Logger | undefined
}

/** A forward that is served until it is closed. */
export interface OpenForward extends AsyncDisposable {
  /** With the port it got. */
  readonly forward: Forward
  /** Ends it, with the connections that go through it. Safe to call twice. */
  close(): Promise<void>
}

/** What a forward of one port is bound by: an address of the host, or a socket that is bound already. */
type Source = { readonly fd: number } | { readonly address: string; readonly port: number }

/** Serves ports of the calling thread's namespace from this process. */
export class UserlandProxy implements AsyncDisposable {
  readonly #isShared: boolean
  readonly #turns: Turns
  readonly #serving: ServingDeps
  readonly #open = new Map<string, OpenForward>()
  #closed = false

  constructor(options: ProxyOptions = {}, deps: ProxyDeps = {}) {
    const { udpIdleMs = 90_000, udpClients = 1024, isShared = false } = options
    this.#isShared = isShared
    this.#turns = deps.turns ?? new Turns()
    this.#serving = { logger: deps.logger ?? silentLogger, udp: { idleMs: udpIdleMs, clients: udpClients } }
  }

  /** What is served, in the order of opening. */
  get forwards(): readonly Forward[] {
    return Array.from(this.#open.values(), ({ forward }) => forward)
  }

  /** The one that serves this port of this address, where there is one. */
  find(forward: Forward): OpenForward | undefined {
    return this.#open.get(forwardKey(forward))
  }

  /**
   * Begins to serve a forward: all of its ports, or none.
   *
   * @param call `fd` is a socket that is bound or listens already, taken over, in place of address and port
   * @throws `ERR_INVALID_FORWARD`, `ERR_FORWARD_EXISTS`, `ERR_SCTP_UNSUPPORTED`, `ERR_CLOSED`,
   *   `ERR_SYSTEM_CALL` (EADDRINUSE, EADDRNOTAVAIL, EMFILE)
   */
  async openForward(wanted: Forward, call?: CallOptions & { readonly fd?: number }): Promise<OpenForward> {
    call?.signal?.throwIfAborted()
    if (this.#closed) throw new ClosedError('proxy')
    const forward = checkForward(wanted)
    if (forward.port !== 0 && this.find(forward) !== undefined) throw new ForwardExistsError(formatForward(forward))
    const ports = await this.#servePorts(forward, call)
    const [first] = ports
    return this.#remember({ ...forward, port: first?.port ?? forward.port }, ports)
  }

  /** As {@link UserlandProxy.openForward}, for many: all of them, in their order, or none. */
  async openForwards(wanted: readonly Forward[], call?: CallOptions): Promise<OpenForward[]> {
    const opened: OpenForward[] = []
    try {
      for (const forward of wanted) opened.push(await this.openForward(forward, call))
      return opened
    } catch (error) {
      for (const forward of opened) await forward.close()
      throw error
    }
  }

  /** Ends all forwards. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true
    for (const forward of [...this.#open.values()]) await forward.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #remember(forward: Forward, ports: readonly ServedPort[]): OpenForward {
    let closing: Promise<void> | undefined
    const key = forwardKey(forward)
    const close = (): Promise<void> => {
      this.#open.delete(key)
      return (closing ??= this.#closePorts(ports))
    }
    const open: OpenForward = { forward, close, [Symbol.asyncDispose]: close }
    this.#open.set(key, open)
    return open
  }

  async #servePorts(forward: Forward, call?: CallOptions & { readonly fd?: number }): Promise<ServedPort[]> {
    const { address, port, count = 1 } = forward
    const ports: ServedPort[] = []
    try {
      for (let at = 0; at < count; at++) {
        await this.#turns.take(call)
        const source = call?.fd === undefined ? { address, port: port + at } : { fd: call.fd }
        ports.push(await this.#servePort(forward, at, source))
      }
      return ports
    } catch (error) {
      await this.#closePorts(ports)
      throw error
    }
  }

  async #servePort(forward: Forward, at: number, source: Source): Promise<ServedPort> {
    const { protocol, containerAddress, containerPort } = forward
    const target = { host: containerAddress, port: containerPort + at }
    const options = { isShared: this.#isShared, isOnlyIpv6: true }
    if (protocol === 'tcp') {
      const { fd } = 'fd' in source ? source : listenStream(source, options)
      return serveTcpPort(fd, target, this.#serving)
    }
    if (protocol === 'sctp') return serveSctpPort(listenSctp(forward, source, options), target, this.#serving)
    const socket = 'fd' in source ? AnsweringSocket.adopt(source.fd) : AnsweringSocket.bind(source, options)
    return serveUdpPort(socket, target, this.#serving)
  }

  async #closePorts(ports: readonly ServedPort[]): Promise<void> {
    for (const port of ports) {
      await this.#turns.take()
      await port.close()
    }
  }
}

function listenSctp(forward: Forward, source: Source, options: ListenOptions): SctpListener {
  try {
    return 'fd' in source ? SctpListener.adopt(source.fd) : SctpListener.listen(source, options)
  } catch (error) {
    if (isErrno(error, 'EPROTONOSUPPORT', 'ESOCKTNOSUPPORT'))
      throw new SctpUnsupportedError(formatForward(forward), error)
    throw error
  }
}
