import { closeSync } from 'node:fs'
import { join } from 'node:path'
import type { FirewallFact } from '@net/driverapi'
import {
  hasSctp,
  holdPort,
  isErrno,
  listBoundSockets,
  listenStream,
  type BoundSocket,
  type HeldPort,
  type HoldPortRequest,
  type SharablePort,
} from '@net/netlink-ffi'
import type { PortAllocatorDeps } from '@net/portallocator'
import { openProxyProcess, type Forward, type ProxyProcess } from '@net/portmapper'
import type { CallOptions, Logger } from '@net/types'
import { forwardsOf, LOOPBACK, reachesLoopback } from './forwards-of.ts'

/** Whether a proxy leads the ports of `::1` to containers. */
export type UserlandProxy = 'auto' | 'off'

/** The proxy was killed: published ports do not answer at `::1`. It is started again. */
export interface ProxyLost {
  readonly kind: 'proxy-lost'
  /** Why it could not be had again, and is left to the port that is published next. */
  readonly error?: Error | undefined
}

/** A proxy that was lost is there again, with all ports. */
export interface ProxyRestored {
  readonly kind: 'proxy-restored'
}

/** What the wiring supplies to {@link LoopbackPorts}. */
export interface LoopbackDeps {
  readonly logger: Logger
  readonly onEvent: (event: ProxyLost | ProxyRestored) => void
}

/** Where the proxy has its socket, and whether it goes on without us. */
export interface LoopbackOptions {
  /** Folder of the controller. */
  readonly folder: string
  readonly outlives: boolean
}

/**
 * Opens what leads the ports of `::1` to containers: undefined where that is not wanted, and where the host has no `::1`.
 * A proxy of an earlier process is taken over, or ended.
 */
export async function openLoopbackPorts(
  wanted: UserlandProxy,
  { folder, outlives }: LoopbackOptions,
  deps: LoopbackDeps,
): Promise<LoopbackPorts | undefined> {
  const held = new Map<string, SharablePort>()
  const proxy = await openProxyProcess(
    { folder: join(folder, 'proxy'), outlives },
    {
      logger: deps.logger,
      makeRoom: (forwards) => makeRoom(forwards, held),
      onLost: (error) => {
        deps.onEvent({ kind: 'proxy-lost', error })
      },
      onRestored: () => {
        deps.onEvent({ kind: 'proxy-restored' })
      },
    },
  )
  if (wanted === 'auto' && hasLoopback()) return new LoopbackPorts(proxy, held, deps)
  await proxy.apply([])
  await proxy.close()
  return undefined
}

/** The ports of `::1`, which a proxy process leads to containers. */
export class LoopbackPorts {
  readonly #proxy: ProxyProcess
  /** The sockets that hold ports the proxy needs as well, by {@link keyOf}. */
  readonly #held: Map<string, SharablePort>
  readonly #deps: LoopbackDeps

  /** Use {@link openLoopbackPorts}. */
  constructor(proxy: ProxyProcess, held: Map<string, SharablePort>, deps: LoopbackDeps) {
    this.#proxy = proxy
    this.#held = held
    this.#deps = deps
  }

  /** How ports are held beside those of the proxy, which are ours. */
  get portDeps(): Pick<PortAllocatorDeps, 'holdPort' | 'listBoundSockets'> {
    return {
      holdPort: (request) => this.#hold(request),
      listBoundSockets: (protocol) => listBoundSockets(protocol).filter((socket) => !this.#isOwn(socket)),
    }
  }

  /** Leads ports to their containers, of those for which there are rules. Throws what {@link ProxyProcess.change} does. */
  async add(facts: readonly FirewallFact[], call?: CallOptions): Promise<void> {
    const add = servableForwards(facts)
    if (add.length > 0) await this.#proxy.change({ add }, call)
  }

  /** Leads them there no more. What the rules are gone of is gone, whatever becomes of this. */
  async remove(facts: readonly FirewallFact[]): Promise<void> {
    const remove = servableForwards(facts)
    if (remove.length === 0) return
    try {
      await this.#proxy.change({ remove })
    } catch (error) {
      this.#deps.logger.error({ err: error }, 'a port that is taken back may still answer at ::1')
    }
  }

  /** Leads these to their containers and no others, after an earlier process. */
  async restore(facts: readonly FirewallFact[]): Promise<void> {
    try {
      await this.#proxy.apply(servableForwards(facts))
    } catch (error) {
      this.#deps.onEvent({ kind: 'proxy-lost', error: error instanceof Error ? error : new Error(String(error)) })
    }
  }

  /** Leaves the proxy to whoever comes next, if there is anything left to do for it. Safe to call twice. */
  async close(): Promise<void> {
    await this.#proxy.close()
  }

  #hold(request: HoldPortRequest): HeldPort {
    const { protocol, port, address } = request
    if (!reachesLoopback(address)) return holdPort(request)
    const held = this.#holdBesideProxy(request)
    // Between two sockets of one address, the kernel would share datagrams out: here the proxy's alone holds the port.
    if (address === LOOPBACK) held.close()
    const key = keyOf(protocol, port)
    this.#held.set(key, held)
    const close = (): void => {
      held.close()
      if (this.#held.get(key) === held) this.#held.delete(key)
    }
    return { close, [Symbol.dispose]: close }
  }

  #holdBesideProxy(request: HoldPortRequest): SharablePort {
    try {
      return holdPort(request)
    } catch (error) {
      if (!isErrno(error, 'EADDRINUSE') || !this.#isServed(request)) throw error
      const held = holdPort({ ...request, isShared: true })
      held.setShared(false)
      return held
    }
  }

  #isOwn(socket: BoundSocket): boolean {
    return socket.address === LOOPBACK && this.#isServed(socket)
  }

  #isServed({ protocol, port }: Pick<HoldPortRequest, 'protocol' | 'port'>): boolean {
    return this.#proxy.forwards.some(
      (forward) => forward.protocol === protocol && port >= forward.port && port < forward.port + (forward.count ?? 1),
    )
  }
}

/** Whoever holds these ports leaves them to the proxy until the result is disposed of. */
function makeRoom(forwards: readonly Forward[], held: ReadonlyMap<string, SharablePort>): Disposable {
  const ports = forwards.flatMap(({ protocol, port, count = 1 }) =>
    Array.from({ length: count }, (_, at) => held.get(keyOf(protocol, port + at)) ?? []).flat(),
  )
  for (const port of ports) port.setShared(true)
  return {
    [Symbol.dispose]: () => {
      for (const port of ports) port.setShared(false)
    },
  }
}

/** What a proxy can do here: where the kernel has no sockets of SCTP, it cannot serve that. */
function servableForwards(facts: readonly FirewallFact[]): Forward[] {
  const forwards = forwardsOf(facts)
  const isSctp = ({ protocol }: Forward): boolean => protocol === 'sctp'
  return !forwards.some(isSctp) || hasSctp() ? forwards : forwards.filter((forward) => !isSctp(forward))
}

function keyOf(protocol: string, port: number): string {
  return `${protocol}/${port}`
}

/** Whether the host has `::1`: IPv6 may be switched off. */
function hasLoopback(): boolean {
  try {
    closeSync(listenStream({ address: LOOPBACK, port: 0 }).fd)
    return true
  } catch (error) {
    if (isErrno(error, 'EADDRNOTAVAIL', 'EAFNOSUPPORT')) return false
    throw error
  }
}
