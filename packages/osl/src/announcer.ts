import type { SandboxLink } from '@net/driverapi'
import { RouteSocket, setLink } from '@net/netlink-ffi'
import type { Logger } from '@net/types'
import { inSandbox } from './sandbox-namespace.ts'
import { writeSysctls } from './sysctl.ts'

/**
 * When neighbours are told, after an interface came up. The kernel activates it a little later, and drops what is sent
 * before. Within a second of the last answer a neighbour keeps what it knows (`locktime`), so once more after that.
 */
const DELAYS_MS = [50, 1_200] as const

/** Many more than the kernel remembers neighbours of the whole host (`gc_thresh3`). */
const MAX_HOLDERS = 10_000

/**
 * Tells neighbours which MAC address an address has now: gratuitous ARP, and unsolicited neighbour advertisements. The
 * kernel sends them itself when it hears that the MAC address was set, to the very one that it is. Nobody waits for it.
 */
export class Announcer {
  readonly #logger: Logger
  readonly #timers = new Set<NodeJS.Timeout>()
  /** Which MAC address an address had last, of those that joined lately. */
  readonly #holders = new Map<string, string>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Announces a link of the sandbox at `key`, which is up, if it is worth it. */
  announce(key: string, link: SandboxLink): void {
    if (!this.#isNews(link)) return
    for (const delayMs of DELAYS_MS) {
      const timer = setTimeout(() => {
        this.#timers.delete(timer)
        this.#tell(key, link)
      }, delayMs)
      timer.unref()
      this.#timers.add(timer)
    }
  }

  /** Announces nothing more. */
  close(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }

  #isNews({ announce, addresses, macAddress }: SandboxLink): boolean {
    let isNews = announce === true
    for (const address of addresses) {
      const before = this.#holders.get(address)
      if (before !== undefined && before !== macAddress) isNews = true
      this.#remember(address, macAddress)
    }
    return isNews
  }

  /** The last in the map are the last that were remembered. */
  #remember(address: string, macAddress: string): void {
    this.#holders.delete(address)
    this.#holders.set(address, macAddress)
    const [oldest] = this.#holders.size > MAX_HOLDERS ? this.#holders.keys() : []
    if (oldest !== undefined) this.#holders.delete(oldest)
  }

  #tell(key: string, { name, macAddress }: SandboxLink): void {
    try {
      using inside = inSandbox(key, () => {
        writeSysctls([
          { path: `net/ipv4/conf/${name}/arp_notify`, value: '1' },
          { path: `net/ipv6/conf/${name}/ndisc_notify`, value: '1', optional: true },
        ])
        return RouteSocket.open()
      })
      inside.apply(setLink(name, { macAddress }))
    } catch (error) {
      // The sandbox or the interface is gone, and with it the news.
      this.#logger.debug({ error, key, name }, 'addresses were not announced')
    }
  }
}
