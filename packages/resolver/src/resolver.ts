import { closeSync, openSync } from 'node:fs'
import { checkPort, ClosedError, Rollback, silentLogger, type Logger } from '@net/types'
import type { OnAnswer } from './answered.ts'
import { FairSlots } from './fair-slots.ts'
import { Forwarder } from './forwarder.ts'
import { placesOf, type Places } from './places.ts'
import type { RecordSource } from './record-source.ts'
import { openSockets } from './listening-sockets.ts'
import { removeRedirect } from './redirect.ts'
import { Responder } from './responder.ts'
import { Counters, type ResolverStatistics } from './statistics.ts'
import { serveTcp } from './tcp-server.ts'
import { serveUdp } from './udp-server.ts'
import type { UpstreamServer } from './upstream.ts'
import { UsualPorts, type Listening } from './usual-ports.ts'

/** What can be chosen about a {@link Resolver}. */
export interface ResolverOptions {
  /**
   * Path of the network namespace to serve in: `/proc/PID/ns/net`, or where one is mounted.
   *
   * @defaultValue the calling thread's own
   */
  readonly namespace?: string | undefined
  /** IPv4 address to serve on. @defaultValue '127.0.0.11' */
  readonly address?: string | undefined
  /** Port of both sockets. @defaultValue one of the kernel's choice for each */
  readonly port?: number | undefined
  /** Lead port 53 of the address to the ports the sockets got, by packet rules. @defaultValue true */
  readonly redirect?: boolean | undefined
  /** Servers for what is not known here, of which the first three are asked, in order. @defaultValue none */
  readonly servers?: readonly UpstreamServer[] | undefined
  /** Ask others for addresses of names without a dot. @defaultValue true */
  readonly forwardSingleLabels?: boolean | undefined
  /** How long one server is waited for. @defaultValue 4000 */
  readonly serverTimeoutMs?: number | undefined
  /** After how long the answer is SERVFAIL, whoever was asked until then. @defaultValue 10000 */
  readonly timeoutMs?: number | undefined
  /** Answers of other servers kept at most; 0 keeps none. @defaultValue 1000 */
  readonly cacheEntries?: number | undefined
  /** Tell the logger of every question and what became of it, at level debug. @defaultValue false */
  readonly logQuestions?: boolean | undefined
  /** A TCP connection on which nothing happens for this long is closed. @defaultValue 10000 */
  readonly idleMs?: number | undefined
}

/** What the wiring supplies to a {@link Resolver}. */
export interface ResolverDeps {
  /** What is known here; the first that knows a name speaks for it. */
  readonly sources: readonly RecordSource[]
  /** Told of answers before they are sent. */
  readonly onAnswer?: OnAnswer | undefined
  /** Shared by resolvers, so that one sandbox cannot keep the others waiting. @defaultValue slots of its own */
  readonly slots?: FairSlots | undefined
  /** Shared by resolvers, so that they start sooner. @defaultValue none are usual */
  readonly usualPorts?: UsualPorts | undefined
  readonly logger?: Logger | undefined
  /** Milliseconds on a clock that never goes back. */
  readonly now?: (() => number) | undefined
}

/** The packet rules in the namespace. */
interface Redirect {
  /** They go with the namespace. */
  isLeft: boolean
}

const DEFAULT_ADDRESS = '127.0.0.11'
const DNS_PORT = 53
/** Questions to other servers at a time, of all sandboxes that share them and of one. */
const DEFAULT_SLOTS = { total: 1024, each: 256 }

/** A DNS server for one network namespace, which runs until it is closed. */
export class Resolver implements AsyncDisposable {
  /** Where its sockets are. With a redirect, programs reach it at port 53 of the address and nowhere else. */
  readonly listening: Listening
  readonly #forwarder: Forwarder
  readonly #logger: Logger
  readonly #opened: AsyncDisposable
  readonly #redirect: Redirect
  readonly #responder: Responder
  readonly #counters: Counters
  #closed: Promise<void> | undefined

  /** Use {@link openResolver}. */
  constructor(parts: {
    readonly listening: Listening
    readonly forwarder: Forwarder
    readonly responder: Responder
    readonly counters: Counters
    readonly logger: Logger
    readonly opened: AsyncDisposable
    readonly redirect: Redirect
  }) {
    this.listening = parts.listening
    this.#forwarder = parts.forwarder
    this.#logger = parts.logger
    this.#responder = parts.responder
    this.#counters = parts.counters
    this.#opened = parts.opened
    this.#redirect = parts.redirect
  }

  /** What it has done so far. */
  statistics(): ResolverStatistics {
    return this.#counters.read()
  }

  /** Whether servers are asked for addresses of names without a dot, from now on. */
  setForwardSingleLabels(forwardSingleLabels: boolean): void {
    this.#responder.forwardSingleLabels = forwardSingleLabels
  }

  /**
   * Says which servers to ask from now on; none when nothing may be asked outside. One that is this
   * resolver itself is left out.
   *
   * @throws InvalidPortError (`ERR_INVALID_PORT`), ClosedError (`ERR_CLOSED`)
   */
  setServers(servers: readonly UpstreamServer[]): void {
    if (this.#closed !== undefined) throw new ClosedError('resolver')
    for (const { port = DNS_PORT } of servers) checkPort(port)
    const others = servers.filter((server) => !this.#isSelf(server))
    if (others.length < servers.length) {
      this.#logger.warn({ address: this.listening.address }, 'resolver left out of its own servers')
    }
    this.#forwarder.setServers(others)
  }

  /**
   * Gives up what is under way and takes away sockets and rules. Safe to call twice.
   *
   * @param options - `leaveRules` where the namespace goes anyway: taking rules away makes the kernel wait
   */
  close(options: { readonly leaveRules?: boolean } = {}): Promise<void> {
    if (options.leaveRules === true) this.#redirect.isLeft = true
    return (this.#closed ??= Promise.resolve(this.#opened[Symbol.asyncDispose]()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #isSelf({ address, port = DNS_PORT, from = 'sandbox' }: UpstreamServer): boolean {
    const { udpPort, tcpPort } = this.listening
    return from === 'sandbox' && address === this.listening.address && [DNS_PORT, udpPort, tcpPort].includes(port)
  }
}

/**
 * Opens a DNS server inside a network namespace and serves it from here. Answers come from the record
 * sources; what those do not know is asked of `servers`, from the namespace named for each.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): EADDRNOTAVAIL while the loopback interface is down; EPERM
 * @throws NetlinkError (`ERR_NETLINK`) when the kernel refuses the redirect
 */
export async function openResolver(options: ResolverOptions, deps: ResolverDeps): Promise<Resolver> {
  // What closing takes away is what failing would: the same steps, last first.
  const opened = new Rollback()
  try {
    return await open(options, deps, opened)
  } catch (error) {
    await opened[Symbol.asyncDispose]()
    throw error
  }
}

async function open(options: ResolverOptions, deps: ResolverDeps, opened: Rollback): Promise<Resolver> {
  const { logger = silentLogger } = deps
  // 0 is any port.
  if (options.port !== undefined && options.port !== 0) checkPort(options.port)
  const counters = new Counters()
  const places = openPlaces(options.namespace, opened)
  const forwarder = openForwarder(options, deps, { places, counters })
  opened.defer('ask servers', () => forwarder.close())
  const responder = new Responder({
    sources: deps.sources,
    forward: (query, transport) => forwarder.forward(query, transport),
    forwardSingleLabels: options.forwardSingleLabels ?? true,
    onAnswer: deps.onAnswer,
    logQuestions: options.logQuestions,
    counters,
    logger,
  })
  const redirect: Redirect = { isLeft: false }
  const { usualPorts = new UsualPorts() } = deps
  const listening = await serve(options, { places, responder, redirect, usualPorts, logger }, opened)
  const resolver = new Resolver({ listening, forwarder, responder, counters, logger, opened, redirect })
  resolver.setServers(options.servers ?? [])
  return resolver
}

function openPlaces(namespace: string | undefined, opened: Rollback): Places {
  if (namespace === undefined) return placesOf(undefined)
  const namespaceFd = openSync(namespace, 'r')
  opened.defer('open namespace', () => {
    closeSync(namespaceFd)
  })
  return placesOf(namespaceFd)
}

async function serve(
  { address = DEFAULT_ADDRESS, port = 0, redirect = true, idleMs = 10_000 }: ResolverOptions,
  deps: { places: Places; responder: Responder; redirect: Redirect; usualPorts: UsualPorts; logger: Logger },
  opened: Rollback,
): Promise<Listening> {
  const { places, responder, logger } = deps
  const redirectTo = redirect ? deps.usualPorts : undefined
  const { udp, tcpFd, listening } = places.at('sandbox', () => openSockets({ address, port }, redirectTo))
  opened.defer('open UDP socket', () => {
    udp.close()
  })
  // Before there are connections, so that it is taken away after them: their ends are answers too.
  if (redirect) {
    opened.defer('redirect port 53', () => (deps.redirect.isLeft ? undefined : places.at('sandbox', removeRedirect)()))
  }
  const stream = await serveTcp(tcpFd, responder, { idleMs }, logger)
  opened.defer('serve TCP', () => stream.close())
  serveUdp(udp, responder, logger)
  return listening
}

function openForwarder(
  options: ResolverOptions,
  deps: ResolverDeps,
  parts: { readonly places: Places; readonly counters: Counters },
): Forwarder {
  const { serverTimeoutMs = 4000, timeoutMs = 10_000, cacheEntries = 1000 } = options
  return new Forwarder(
    { serverTimeoutMs, timeoutMs, cacheEntries },
    {
      ...parts,
      slots: deps.slots ?? new FairSlots(DEFAULT_SLOTS),
      logger: deps.logger ?? silentLogger,
      now: deps.now ?? (() => performance.now()),
    },
  )
}
