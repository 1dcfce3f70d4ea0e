import { readFileSync } from 'node:fs'
import type { AddressFamily, Logger } from '@net/types'

/** The kernel's table of neighbours of a family, which all namespaces of the host share, is nearly full. */
export interface NeighboursEvent {
  readonly kind: 'neighbours-near-limit'
  readonly family: AddressFamily
  readonly entries: number
  /** `net.ipv4.neigh.default.gc_thresh3`, or that of IPv6: the kernel takes no more, and drops packets to those it does not know. */
  readonly limit: number
}

/** What the wiring supplies. */
export interface NeighbourTableDeps {
  readonly tell: (event: NeighboursEvent) => void
  readonly logger: Logger
  /** @defaultValue `/proc` */
  readonly folder?: string
  /** @defaultValue the process' clock */
  readonly now?: () => number
}

const files = {
  4: { limit: 'sys/net/ipv4/neigh/default/gc_thresh3', entries: 'net/stat/arp_cache' },
  6: { limit: 'sys/net/ipv6/neigh/default/gc_thresh3', entries: 'net/stat/ndisc_cache' },
} as const
/** So full it is told of, and so empty before it is told of again. */
const NEAR = 0.8
const RELIEVED = 0.7
const LOOK_EVERY_MS = 1_000

/**
 * Looks how full the kernel's tables of neighbours are: every container on a bridge takes an entry. Only the host's
 * first network namespace can tell.
 */
export class NeighbourTable {
  readonly #tell: (event: NeighboursEvent) => void
  readonly #logger: Logger
  readonly #folder: string
  readonly #now: () => number
  readonly #told = new Set<AddressFamily>()
  #lookedAt = -Infinity

  constructor({ tell, logger, folder = '/proc', now = () => performance.now() }: NeighbourTableDeps) {
    this.#tell = tell
    this.#logger = logger
    this.#folder = folder
    this.#now = now
  }

  /** Looks, at most once a second, and tells what is new. */
  look(): void {
    const now = this.#now()
    if (now - this.#lookedAt < LOOK_EVERY_MS) return
    this.#lookedAt = now
    for (const family of [4, 6] as const) this.#lookAt(family)
  }

  #lookAt(family: AddressFamily): void {
    const limit = Number(this.#read(files[family].limit)?.trim())
    // One line a processor below the heading, the number of entries being the same in all: hexadecimal.
    const entries = Number.parseInt(this.#read(files[family].entries)?.split('\n')[1]?.split(' ')[0] ?? '', 16)
    if (!(limit > 0) || Number.isNaN(entries)) return
    if (entries < limit * RELIEVED) this.#told.delete(family)
    if (entries < limit * NEAR || this.#told.has(family)) return
    this.#told.add(family)
    const event: NeighboursEvent = { kind: 'neighbours-near-limit', family, entries, limit }
    this.#logger.warn(event, 'the table of neighbours is nearly full: raise gc_thresh3')
    this.#tell(event)
  }

  #read(path: string): string | undefined {
    try {
      return readFileSync(`${this.#folder}/${path}`, 'utf8')
    } catch {
      return undefined // Not to be had in another namespace than the host's first.
    }
  }
}
