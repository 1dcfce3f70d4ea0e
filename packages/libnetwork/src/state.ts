import type { EndpointRecord, NetworkRecord, PublishedPort, SandboxRecord } from '@net/driverapi'
import type { IpamDriver } from '@net/ipamapi'
import type { PortLease } from '@net/portallocator'
import type { NameTable } from '@net/resolver'
import type { Cidr } from '@net/types'
import { Claims } from './claims.ts'
import {
  ContainerHasSandboxError,
  EndpointExistsError,
  NetworkExistsError,
  NoSuchEndpointError,
  NoSuchNetworkError,
  NoSuchSandboxError,
} from './errors.ts'
import type { SandboxNaming } from './names/sandbox-naming.ts'
import type { StoredPool } from './records/stored-forms.ts'

/** A published port, and what holds it. */
export interface HeldPublication {
  readonly port: PublishedPort
  readonly lease: PortLease
}

export interface NetworkEntry {
  record: NetworkRecord
  readonly ipam: IpamDriver
  /** What it was given beside, for pools of this network. */
  readonly ipamOptions?: Readonly<Record<string, string>> | undefined
  /** What was asked of it, beside what the record says. */
  pools: readonly StoredPool[]
  /** The subnets of the record, parsed. */
  prefixes: readonly Cidr[]
  /** The names of the endpoints that are joined. */
  readonly names: NameTable
  readonly endpointsByName: Map<string, string>
}

export interface EndpointEntry {
  record: EndpointRecord
  /** What its addresses were asked for with. */
  readonly ipamOptions?: Readonly<Record<string, string>> | undefined
  /** By {@link publicationKey}: one is found at the same cost however many there are. */
  readonly ports: Map<string, HeldPublication>
  /** The families whose default route in the sandbox goes through it. */
  gatewayFor: readonly (4 | 6)[]
  /** Whether its driver was told that it serves a default route. @defaultValue false */
  isGatewayElsewhere?: boolean
}

export interface SandboxEntry {
  record: SandboxRecord
  readonly naming: SandboxNaming
  /** In the order of joining. */
  readonly endpoints: Set<EndpointEntry>
}

/** All that the controller knows: networks, endpoints and sandboxes, each under its id. Names are unique. */
export class State {
  readonly networks = new Map<string, NetworkEntry>()
  readonly endpoints = new Map<string, EndpointEntry>()
  readonly sandboxes = new Map<string, SandboxEntry>()
  /** What is kept for records that nothing can be done with. */
  readonly claims = new Claims()
  readonly #networksByName = new Map<string, string>()
  readonly #sandboxesByContainer = new Map<string, string>()

  /** @throws `ERR_NETWORK_EXISTS` */
  addNetwork(entry: NetworkEntry): void {
    const { id, name } = entry.record
    const record = this.claims.findNetwork(name)
    if (this.#networksByName.has(name) || record !== undefined) throw new NetworkExistsError(name, record)
    this.#networksByName.set(name, id)
    this.networks.set(id, entry)
  }

  removeNetwork({ record }: NetworkEntry): void {
    this.#networksByName.delete(record.name)
    this.networks.delete(record.id)
  }

  findNetwork(idOrName: string): NetworkEntry | undefined {
    return this.networks.get(idOrName) ?? this.networks.get(this.#networksByName.get(idOrName) ?? '')
  }

  /** @throws `ERR_NO_SUCH_NETWORK` */
  getNetwork(idOrName: string): NetworkEntry {
    const entry = this.findNetwork(idOrName)
    if (entry === undefined) throw new NoSuchNetworkError(idOrName)
    return entry
  }

  /** @throws `ERR_ENDPOINT_EXISTS` */
  addEndpoint(entry: EndpointEntry): void {
    const { id, name, networkId } = entry.record
    const network = this.getNetwork(networkId)
    const record = this.claims.findEndpoint(networkId, name)
    if (network.endpointsByName.has(name) || record !== undefined) {
      throw new EndpointExistsError(name, network.record.name, record)
    }
    network.endpointsByName.set(name, id)
    this.endpoints.set(id, entry)
  }

  /**
   * Gives endpoints another name, all or none. The names that they had stay theirs, too, until the result is told
   * whether it is for good.
   *
   * @throws `ERR_ENDPOINT_EXISTS`, for two of one network as well
   */
  renameEndpoints(entries: readonly EndpointEntry[], name: string): { commit(): void; undo(): void } {
    const holders = new Map<string, string>()
    for (const { record } of entries) {
      const network = this.getNetwork(record.networkId)
      const holder = holders.get(record.networkId) ?? network.endpointsByName.get(name) ?? record.id
      const claimed = this.claims.findEndpoint(record.networkId, name)
      if (holder !== record.id || claimed !== undefined) {
        throw new EndpointExistsError(name, network.record.name, claimed)
      }
      holders.set(record.networkId, record.id)
    }
    const renamed = entries
      .filter(({ record }) => record.name !== name)
      .map((entry) => ({ entry, was: entry.record.name }))
    for (const { entry } of renamed) this.#call(entry, name)
    return {
      commit: () => {
        for (const { entry, was } of renamed) this.#forgetName(entry, was)
      },
      undo: () => {
        for (const { entry, was } of renamed) {
          this.#forgetName(entry, name)
          this.#call(entry, was)
        }
      },
    }
  }

  /** From its sandbox as well. */
  removeEndpoint(entry: EndpointEntry): void {
    this.#forgetName(entry, entry.record.name)
    this.sandboxes.get(entry.record.sandboxId ?? '')?.endpoints.delete(entry)
    this.endpoints.delete(entry.record.id)
  }

  #call(entry: EndpointEntry, name: string): void {
    this.getNetwork(entry.record.networkId).endpointsByName.set(name, entry.record.id)
    entry.record = { ...entry.record, name }
  }

  /** Unless it is another's by now. */
  #forgetName({ record: { networkId, id } }: EndpointEntry, name: string): void {
    const names = this.networks.get(networkId)?.endpointsByName
    if (names?.get(name) === id) names.delete(name)
  }

  /** @throws `ERR_NO_SUCH_ENDPOINT` */
  getEndpoint(id: string): EndpointEntry {
    const entry = this.endpoints.get(id)
    if (entry === undefined) throw new NoSuchEndpointError(id)
    return entry
  }

  /** @throws `ERR_CONTAINER_HAS_SANDBOX` */
  addSandbox(entry: SandboxEntry): void {
    const { id, containerId } = entry.record
    const record = this.claims.findContainer(containerId)
    if (this.#sandboxesByContainer.has(containerId) || record !== undefined) {
      throw new ContainerHasSandboxError(containerId, record)
    }
    this.#sandboxesByContainer.set(containerId, id)
    this.sandboxes.set(id, entry)
  }

  removeSandbox({ record }: SandboxEntry): void {
    this.#sandboxesByContainer.delete(record.containerId)
    this.sandboxes.delete(record.id)
  }

  findSandbox(idOrContainerId: string): SandboxEntry | undefined {
    return (
      this.sandboxes.get(idOrContainerId) ?? this.sandboxes.get(this.#sandboxesByContainer.get(idOrContainerId) ?? '')
    )
  }

  /** @throws `ERR_NO_SUCH_SANDBOX` */
  getSandbox(idOrContainerId: string): SandboxEntry {
    const entry = this.findSandbox(idOrContainerId)
    if (entry === undefined) throw new NoSuchSandboxError(idOrContainerId)
    return entry
  }
}

/** What makes a publication one of its own: protocol, host address and host port. */
export function publicationKey(port: Pick<PublishedPort, 'protocol' | 'hostAddress' | 'hostPort'>): string {
  return `${port.protocol}/${port.hostAddress ?? ''}/${port.hostPort}`
}

/** The record of an endpoint with the ports it publishes now. */
export function recordOf(entry: EndpointEntry): EndpointRecord {
  return { ...entry.record, ports: Array.from(entry.ports.values(), ({ port }) => port) }
}
