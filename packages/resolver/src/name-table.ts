import { formatAddress, parseAddress } from '@net/types'
import { foldName, isDomainName } from './domain-name.ts'
import { NameIndex } from './name-index.ts'

/** Characters of a container's id that name it, as `docker ps` shows them. */
const SHORT_ID_LENGTH = 12

/** A port of an endpoint that SRV questions find: `_http._tcp.web`. */
export interface NamedService {
  readonly name: string
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly port: number
}

/** The names and addresses of one endpoint. */
export interface EndpointNames {
  /** Whose they are; adding the same id again replaces what it had. */
  readonly id: string
  /** Absent for an endpoint that is found by its aliases alone, or not at all. */
  readonly name?: string | undefined
  /** More names, known to all on the network. Several endpoints may share one. */
  readonly aliases?: readonly string[] | undefined
  /** Its first twelve characters are a name too. */
  readonly containerId?: string | undefined
  /** Of both families, without prefix length. */
  readonly addresses: readonly string[]
  readonly services?: readonly NamedService[] | undefined
}

/**
 * The names of one network: who has which, in memory. Capitals do not count. A name that DNS cannot
 * carry (a label of more than 63 bytes, say) is left out: nobody could ask for it.
 */
export class NameTable {
  /** The network's name: `web.NETWORK` is asked here. */
  readonly network: string
  readonly #entries = new Map<string, EndpointNames>()
  readonly #byName = new NameIndex<EndpointNames>()
  readonly #byAddress = new NameIndex<EndpointNames>()
  #revision = 0

  constructor(network: string) {
    this.network = network
  }

  /** Grows with every change. */
  get revision(): number {
    return this.#revision
  }

  /** Adds an endpoint, or replaces what is known of it. @throws InvalidAddressError (`ERR_INVALID_ADDRESS`) */
  add(endpoint: EndpointNames): void {
    const entry = { ...endpoint, addresses: endpoint.addresses.map(canonical) }
    this.remove(entry.id)
    this.#entries.set(entry.id, entry)
    for (const name of namesOf(entry)) this.#byName.add(name, entry)
    for (const address of entry.addresses) this.#byAddress.add(address, entry)
    this.#revision++
  }

  /** Forgets an endpoint. One that is not known changes nothing. */
  remove(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) return
    this.#entries.delete(id)
    for (const name of namesOf(entry)) this.#byName.remove(name, entry)
    for (const address of entry.addresses) this.#byAddress.remove(address, entry)
    this.#revision++
  }

  /** The endpoints that bear a name, in the order they came. */
  endpointsNamed(name: string): readonly EndpointNames[] {
    return this.#byName.get(foldName(name))
  }

  /** What an address is called: `web.NETWORK`. Undefined where it is not known, or nameless. */
  findAddress(address: string): string | undefined {
    const entry = this.#byAddress.get(address).find(({ name, aliases }) => (name ?? aliases?.[0]) !== undefined)
    return entry && this.fullNameOf(entry)
  }

  /** The name by which an endpoint of this network is told from those of others. */
  fullNameOf({ name, aliases }: EndpointNames): string | undefined {
    const own = [name, ...(aliases ?? [])].find((text) => text !== undefined && isDomainName(text))
    if (own === undefined) return undefined
    const full = `${own}.${this.network}`
    return isDomainName(full) ? full : own
  }
}

function canonical(address: string): string {
  return formatAddress(parseAddress(address))
}

function namesOf({ name, aliases = [], containerId }: EndpointNames): Set<string> {
  const names = [name, ...aliases, containerId?.slice(0, SHORT_ID_LENGTH)]
  return new Set(names.filter((text) => text !== undefined && isDomainName(text)).map((text) => foldName(text ?? '')))
}
