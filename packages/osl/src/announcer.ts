import type { SandboxLink } from '@net/driverapi'
import { RouteSocket, setLink } from '@net/netlink-ffi'
import type { Logger } from '@net/types'
import { inSandbox } from './sandbox-namespace.ts'
import type { SandboxDeps, SandboxSettings } from './sandbox-settings.ts'

/**
 * When neighbours are told, after an interface came up. The kernel activates it a little later, and drops what is sent
 * before. Within a second of the last answer a neighbour keeps what it knows (`locktime`), so once more after that.
 */
const DELAYS_MS = [50, 1_200] as const

/** Many more than the kernel remembers neighbours of the whole host (`gc_thresh3`). */
const MAX_HOLDERS = 10_000

/** What is to be told of a link, at a time that is yet to come. */
interface Announcement {
  readonly name: string
  readonly timer: NodeJS.Timeout
}

/**
 * Tells neighbours which MAC address an address has now: gratuitous ARP, and unsolicited neighbour advertisements. The
 * kernel sends them itself when it hears that the MAC address was set, to the very one that it is. Nobody waits for it.
 */
export class Announcer {
  readonly #settings: SandboxSettings
  readonly #logger: Logger
  /** By the sandbox that they are of. */
  readonly #pending = new Map<string, Set<Announcement>>()
  /** Which MAC address an address had last, of those that joined lately. */
  readonly #holders = new Map<string, string>()

  constructor({ settings, logger }: SandboxDeps) {
    this.#settings = settings
    this.#logger = logger
  }

  /** Announces the link of that index in the sandbox at `key`, which is up, if it is worth it. */
  announce(key: string, index: number, link: SandboxLink): void {
    if (!this.#isNews(link)) return
    for (const delayMs of DELAYS_MS) this.#schedule(key, { index, link, delayMs })
  }

  /** Announces nothing more of a link of the sandbox at `key`, or of all of them: another may have the name soon. */
  forget(key: string, name?: string): void {
    const ofKey = this.#pending.get(key) ?? []
    for (const announcement of ofKey) {
      if (name === undefined || announcement.name === name) this.#drop(key, announcement)
    }
  }

  /** Announces nothing more. */
  close(): void {
    for (const key of this.#pending.keys()) this.forget(key)
  }

  #schedule(key: string, { index, link, delayMs }: { index: number; link: SandboxLink; delayMs: number }): void {
    const timer = setTimeout(() => {
      this.#drop(key, announcement)
      this.#tell(key, index, link)
    }, delayMs)
    timer.unref()
    const announcement: Announcement = { name: link.name, timer }
    this.#pending.set(key, (this.#pending.get(key) ?? new Set()).add(announcement))
  }

  #drop(key: string, announcement: Announcement): void {
    clearTimeout(announcement.timer)
    const ofKey = this.#pending.get(key)
    ofKey?.delete(announcement)
    if (ofKey?.size === 0) this.#pending.delete(key)
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

  #tell(key: string, index: number, { name, macAddress }: SandboxLink): void {
    try {
      inSandbox(key, () => {
        using inside = RouteSocket.open()
        const found = inside.findLink(index)
        // By now another may have its name, or it another MAC address: neither is ours to change.
        if (found?.name !== name || found.macAddress !== macAddress) return
        this.#settings.write([
          { path: `net/ipv4/conf/${name}/arp_notify`, value: '1' },
          { path: `net/ipv6/conf/${name}/ndisc_notify`, value: '1', optional: true },
        ])
        inside.apply(setLink(index, { macAddress }))
      })
    } catch (error) {
      // The sandbox is gone, and with it the news.
      this.#logger.debug({ err: error, key, name }, 'addresses were not announced')
    }
  }
}
