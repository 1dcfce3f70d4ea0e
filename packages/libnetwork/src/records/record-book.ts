import type { FirewallFact, NetworkRecord } from '@net/driverapi'
import { FactBook } from '@net/firewall'
import { openPortAllocator, type BookedPorts } from '@net/portallocator'
import {
  cidrsOverlap,
  containsAddress,
  formatAddress,
  parseAddress,
  parseCidr,
  withoutPrefixLength,
  type Cidr,
} from '@net/types'
import { heldAddresses } from '../endpoint-operations.ts'
import { RecordConflictError } from '../errors.ts'
import type { StoredEndpoint, StoredNetwork, StoredSandbox } from './stored-forms.ts'

/** Records that go together: one that lays claim to what another has already is refused, and changes nothing. */
export class RecordBook {
  /** Keys by what only one can have. */
  readonly #holders = new Map<string, string>()
  /** By network. */
  readonly #prefixes = new Map<string, readonly Cidr[]>()
  readonly #facts = new FactBook()
  readonly #ports = openPortAllocator({ hold: false })
  readonly #published: { readonly lease: BookedPorts; readonly key: string }[] = []

  /** @param facts - what the packet rules have to know @throws RecordConflictError, and what the firewall throws */
  addNetwork({ record, pools }: StoredNetwork, facts: readonly FirewallFact[]): void {
    const key = `networks/${record.id}`
    const prefixes = subnetPrefixes(record)
    for (const { text, cidr } of prefixes) {
      for (const [other, theirs] of this.#prefixes) {
        if (theirs.some((one) => cidrsOverlap(one, cidr)))
          throw new RecordConflictError(`pool ${text}`, `networks/${other}`)
      }
    }
    const { id, name, ipv4, ipv6 } = record
    const gateways = [ipv4, ipv6].flatMap((subnet) => (subnet === undefined ? [] : subnet.gateway))
    const aux = pools.flatMap(({ auxAddresses = {} }) => Object.values(auxAddresses))
    const addresses = [...gateways.map(withoutPrefixLength), ...aux].map((address) => addressOf(id, address))
    this.#add(key, [`network name ${JSON.stringify(name)}`, ...addresses], facts)
    this.#prefixes.set(
      id,
      prefixes.map(({ cidr }) => cidr),
    )
  }

  /** @throws RecordConflictError */
  addSandbox({ record }: StoredSandbox): void {
    this.#add(`sandboxes/${record.id}`, [`container ${JSON.stringify(record.containerId)}`], [])
  }

  /** @param facts - as of {@link addNetwork} @throws RecordConflictError, and what the firewall throws */
  async addEndpoint({ record }: StoredEndpoint, network: NetworkRecord, facts: readonly FirewallFact[]): Promise<void> {
    const key = `endpoints/${record.id}`
    const addresses = heldAddresses(network, record).map(({ address }) => address)
    const pools = this.#prefixes.get(network.id) ?? []
    for (const address of addresses) {
      const isInside = pools.some((pool) => containsAddress(pool, parseAddress(address)))
      if (!isInside) throw new RangeError(`address ${address} is in no pool of network ${network.name}`)
    }
    const leases: BookedPorts[] = []
    let isWhole = false
    try {
      for (const { protocol, hostAddress: address, hostPort: port, count } of record.ports) {
        leases.push(this.#book(protocol, { address, port, count }))
      }
      const name = `name ${JSON.stringify(record.name)} in network ${network.name}`
      this.#add(key, [name, ...addresses.map((address) => addressOf(network.id, address))], facts)
      isWhole = true
    } finally {
      if (!isWhole) for (const lease of leases) await lease.release()
    }
    this.#published.push(...leases.map((lease) => ({ lease, key })))
  }

  /** Adds what is no record's that goes together with these. @throws what the firewall throws */
  addFacts(facts: readonly FirewallFact[]): void {
    this.#facts.add(facts)
  }

  #book(
    protocol: BookedPorts['protocol'],
    ports: { readonly address: string | undefined; readonly port: number; readonly count: number | undefined },
  ): BookedPorts {
    try {
      return this.#ports.book({ protocol, ...ports })
    } catch (error) {
      const { port, count = 1 } = ports
      const other = this.#published.find(
        ({ lease }) => lease.protocol === protocol && lease.port < port + count && port < lease.port + lease.count,
      )
      throw other === undefined ? error : new RecordConflictError(`${protocol} port ${port}`, other.key)
    }
  }

  #add(key: string, only: readonly string[], facts: readonly FirewallFact[]): void {
    for (const one of only) {
      const other = this.#holders.get(one)
      if (other !== undefined) throw new RecordConflictError(one, other)
    }
    this.#facts.add(facts)
    for (const one of only) this.#holders.set(one, key)
  }
}

function subnetPrefixes({ ipv4, ipv6 }: NetworkRecord): { readonly text: string; readonly cidr: Cidr }[] {
  return [ipv4, ipv6].flatMap((subnet) =>
    subnet === undefined ? [] : { text: subnet.pool, cidr: parseCidr(subnet.pool) },
  )
}

/** In its one spelling. */
function addressOf(networkId: string, address: string): string {
  return `address ${formatAddress(parseAddress(address))} of network ${networkId}`
}
