import { NETWORK_LINK_GROUP, type Firewall, type FirewallFact } from '@net/driverapi'
import type { Link } from '@net/netlink-ffi'
import { Mutex, type AddressFamily, type CallOptions, type Logger } from '@net/types'
import { readSysctl, writeSysctls } from './sysctl.ts'

const paths = { 4: 'net/ipv4/ip_forward', 6: 'net/ipv6/conf/all/forwarding' } as const

/** What the wiring supplies. All of it is borrowed. */
export interface ForwardingDeps {
  readonly firewall: Firewall
  /** Those of the host, while the event loop goes on: there may be thousands. */
  readonly listLinks: () => Promise<readonly Link[]>
  readonly logger: Logger
}

/** What is remembered of forwarding by whoever outlives the process. */
export interface ForwardingMemory {
  /** What an earlier process switched on. The packet rules know of it. */
  readonly switchedOn: readonly AddressFamily[]
  /** Called with what is switched on here, before it is switched on and after it was put back. */
  keep(switchedOn: readonly AddressFamily[]): Promise<void>
}

/**
 * Switches on that the host forwards packets, without making a router of it: where it did not before, the packet
 * rules are told to forward nothing between interfaces that are no network's.
 */
export class Forwarding {
  readonly #firewall: Firewall
  readonly #listLinks: () => Promise<readonly Link[]>
  readonly #logger: Logger
  readonly #memory: ForwardingMemory | undefined
  readonly #mutex = new Mutex()
  /** What was off, until it was switched on here. */
  readonly #switchedOn: Set<AddressFamily>
  /** Whether just that is remembered. */
  #isRemembered = true

  constructor({ firewall, listLinks, logger }: ForwardingDeps, memory?: ForwardingMemory) {
    this.#firewall = firewall
    this.#listLinks = listLinks
    this.#logger = logger
    this.#memory = memory
    this.#switchedOn = new Set(memory?.switchedOn)
  }

  /** What the packet rules were told. */
  facts(): FirewallFact[] {
    return Array.from(this.#switchedOn, (family) => ({ kind: 'forwarding', family }))
  }

  /** Has the host forward packets of these families. @throws SysctlError (`ERR_SYSCTL`), and what the firewall throws */
  async switchOn(families: readonly AddressFamily[], call?: CallOptions): Promise<void> {
    using _lock = await this.#mutex.lock(call)
    for (const family of families) {
      if (readSysctl(paths[family]) === '1') continue
      // Before, not after: there is no moment in which everything is forwarded.
      if (!this.#switchedOn.has(family)) await this.#tellRules(family, call)
      writeSysctls([{ path: paths[family], value: '1' }])
    }
  }

  /**
   * Switches off again what was switched on here once no network is left, another controller's included. What
   * somebody switched off since, or cannot be switched off, stays as it is.
   */
  async putBack(): Promise<void> {
    using _lock = await this.#mutex.lock()
    if (!this.#isRemembered) await this.#tryRemember()
    if (this.#switchedOn.size === 0 || (await this.#isNetworkLeft())) return
    for (const family of this.#switchedOn) {
      try {
        if (readSysctl(paths[family]) === '1') writeSysctls([{ path: paths[family], value: '0' }])
        // After, not before: as above.
        await this.#firewall.change({ remove: [{ kind: 'forwarding', family }] })
        this.#switchedOn.delete(family)
        await this.#remember()
      } catch (error) {
        this.#logger.warn({ err: error, family }, 'could not put the forwarding of packets back')
      }
    }
  }

  async #tellRules(family: AddressFamily, call?: CallOptions): Promise<void> {
    this.#isRemembered = false
    try {
      await this.#memory?.keep([...this.#switchedOn, family])
      await this.#firewall.change({ add: [{ kind: 'forwarding', family }] }, call)
    } catch (error) {
      // Else what somebody else switches on later would be taken for ours, and switched off.
      await this.#tryRemember()
      throw error
    }
    this.#switchedOn.add(family)
    this.#isRemembered = true
  }

  async #remember(): Promise<void> {
    this.#isRemembered = false
    await this.#memory?.keep([...this.#switchedOn])
    this.#isRemembered = true
  }

  /** What fails is tried again when a network goes. */
  async #tryRemember(): Promise<void> {
    try {
      await this.#remember()
    } catch (error) {
      this.#logger.warn({ err: error }, 'what is remembered of the forwarding of packets is not as it is')
    }
  }

  async #isNetworkLeft(): Promise<boolean> {
    const links = await this.#listLinks()
    return links.some(({ group }) => group === NETWORK_LINK_GROUP)
  }
}
