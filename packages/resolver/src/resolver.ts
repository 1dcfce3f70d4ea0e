import { closeSync, openSync } from 'node:fs'
import { checkPort, ClosedError, Rollback, silentLogger, type Logger } from '@net/types'
import type { OnAnswer } from './answered.ts'
import { FairSlots } from './fair-slots.ts'
import { Forwarder } from './forwarder.ts'
import { placesOf, type Places } from './places.ts'
import type { RecordSource } from './record-source.ts'
import { openSockets } from './listening-sockets.ts'
import { removeRedirect, type Listening } from './redirect.ts'
import { Responder } from './responder.ts'
import { serveTcp } from './tcp-server.ts'
import { serveUdp } from './udp-server.ts'
import type { UpstreamServer } from './upstream.ts'

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
  readonly logger?: Logger | undefined
  /** Milliseconds on a clock that never goes back. */
  readonly now?: (() => number) | undefined
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
  #closed: Promise<void> | undefined

  /** Use {@link openResolver}. */
  constructor(parts: {
    readonly listening: Listening
    readonly forwarder: Forwarder
    readonly logger: Logger
    readonly opened: AsyncDisposable
  }) {
    this.listening = parts.listening
    this.#forwarder = parts.forwarder
    this.#logger = parts.logger
    this.#opened = parts.opened
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

  /** Gives up what is under way and takes away sockets and rules. Safe to call twice. */
  close(): Promise<void> {
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
  const places = openPlaces(options.namespace, opened)
  const forwarder = openForwarder(options, deps, places)
  opened.defer('ask servers', () => forwarder.close())
  const responder = new Responder({
    sources: deps.sources,
    forward: (query, transport) => forwarder.forward(query, transport),
    forwardSingleLabels: options.forwardSingleLabels ?? true,
    onAnswer: deps.onAnswer,
    logger,
  })
  const listening = await serve(options, { places, responder, logger }, opened)
  const resolver = new Resolver({ listening, forwarder, logger, opened })
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
  { address = DEFAULT_ADDRESS, redirect = true, idleMs = 10_000 }: ResolverOptions,
  { places, responder, logger }: { places: Places; responder: Responder; logger: Logger },
  opened: Rollback,
): Promise<Listening> {
  const { udp, tcpFd, listening } = places.at('sandbox', () => openSockets(address, redirect))
  opened.defer('open UDP socket', () => {
    udp.close()
  })
  // Before there are connections, so that it is taken away after them: their ends are answers too.
  if (redirect) {
    opened.defer('redirect port 53', () => places.at('sandbox', removeRedirect)())
  }
  const stream = await serveTcp(tcpFd, responder, { idleMs }, logger)
  opened.defer('serve TCP', () => stream.close())
  serveUdp(udp, responder, logger)
  return listening
}

function openForwarder(options: ResolverOptions, deps: ResolverDeps, places: Places): Forwarder {
  const { serverTimeoutMs = 4000, timeoutMs = 10_000, cacheEntries = 1000 } = options
  return new Forwarder(
    { serverTimeoutMs, timeoutMs, cacheEntries },
    {
      places,
      slots: deps.slots ?? new FairSlots(DEFAULT_SLOTS),
      logger: deps.logger ?? silentLogger,
      now: deps.now ?? (() => performance.now()),
    },
  )
}
