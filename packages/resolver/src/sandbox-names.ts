import { foldName, splitLabels } from './domain-name.ts'
import type { EndpointNames, NameTable } from './name-table.ts'
import type { NameRecords, RecordSource, ServiceTarget } from './record-source.ts'

/** A network that a sandbox is on. */
export interface AttachedNetwork {
  readonly table: NameTable
  /** Names that this sandbox alone has for others of the network: `{ db: 'postgres-1' }`. */
  readonly aliases?: Readonly<Record<string, string>> | undefined
}

/** An {@link AttachedNetwork} whose names are ready to be compared. */
interface Attached {
  readonly table: NameTable
  readonly network: string
  readonly aliases: ReadonlyMap<string, string>
}

/** One way to read a name: as a whole, on any network, or as what is left of a dot, on the network at its right. */
interface Candidate {
  readonly name: string
  readonly network: string | undefined
}

/**
 * What one sandbox sees: the names of the networks it is on. The first network that has an address of
 * a family gives the addresses of that family, as in libnetwork.
 */
export class SandboxNames implements RecordSource {
  #networks: readonly Attached[] = []
  /** What the tables that were left had grown to, so that the sum never shrinks. */
  #base = 0

  /** Says on which networks the sandbox is, the one of its gateway first. */
  setNetworks(networks: readonly AttachedNetwork[]): void {
    this.#base = this.revision + 1
    this.#networks = networks.map(({ table, aliases = {} }) => ({
      table,
      network: foldName(table.network),
      aliases: new Map(Object.entries(aliases).map(([alias, name]) => [foldName(alias), name])),
    }))
    for (const { table } of this.#networks) this.#base -= table.revision
  }

  /** Grows whenever an answer may have changed. */
  get revision(): number {
    let sum = this.#base
    for (const { table } of this.#networks) sum += table.revision
    return sum
  }

  findName(name: string): NameRecords | undefined {
    const found = this.#find(name)
    if (found === undefined) return undefined
    return { addresses: [...firstWith(found, isIpv4), ...firstWith(found, isIpv6)] }
  }

  findService(name: string): readonly ServiceTarget[] | undefined {
    const [service, protocol, ...rest] = splitLabels(foldName(name))
    if (service?.startsWith('_') !== true || protocol?.startsWith('_') !== true) return undefined
    const targets = this.#find(rest.join('.'))?.flatMap(({ table, endpoints }) =>
      endpoints.flatMap((endpoint) => targetsOf(endpoint, table, service.slice(1), protocol.slice(1))),
    )
    return targets === undefined || targets.length === 0 ? undefined : targets
  }

  findAddress(address: string): string | undefined {
    for (const { table } of this.#networks) {
      const name = table.findAddress(address)
      if (name !== undefined) return name
    }
    return undefined
  }

  /** Who bears a name, network by network, by the first reading of it that anybody answers to. */
  #find(asked: string): readonly Found[] | undefined {
    for (const candidate of candidatesFor(foldName(asked))) {
      const found = this.#findAlias(candidate) ?? this.#findPlain(candidate)
      if (found !== undefined) return found
    }
    return undefined
  }

  #findAlias({ name, network }: Candidate): readonly Found[] | undefined {
    return whoBears(this.#networks, network, ({ aliases }) => aliases.get(name))
  }

  /** Where a name is an alias, it means nobody else of that network. */
  #findPlain({ name, network }: Candidate): readonly Found[] | undefined {
    return whoBears(this.#networks, network, ({ aliases }) => (aliases.has(name) ? undefined : name))
  }
}

/** The endpoints of one network that bear a name. */
interface Found {
  readonly table: NameTable
  readonly endpoints: readonly EndpointNames[]
}

function whoBears(
  networks: readonly Attached[],
  network: string | undefined,
  nameOn: (attached: Attached) => string | undefined,
): readonly Found[] | undefined {
  const found: Found[] = []
  for (const attached of networks) {
    if (network !== undefined && network !== attached.network) continue
    const name = nameOn(attached)
    if (name === undefined) continue
    const endpoints = attached.table.endpointsNamed(name)
    if (endpoints.length > 0) found.push({ table: attached.table, endpoints })
  }
  return found.length > 0 ? found : undefined
}

/** The whole name first, then split at each dot, from the right. */
function candidatesFor(name: string): Candidate[] {
  const labels = splitLabels(name)
  const candidates: Candidate[] = [{ name, network: undefined }]
  for (let at = labels.length - 1; at > 0; at--) {
    candidates.push({ name: labels.slice(0, at).join('.'), network: labels.slice(at).join('.') })
  }
  return candidates
}

/** The addresses that pass, of the first network that has such. */
function firstWith(found: readonly Found[], passes: (address: string) => boolean): readonly string[] {
  for (const { endpoints } of found) {
    const addresses = endpoints.flatMap((endpoint) => endpoint.addresses.filter(passes))
    // Two endpoints can have one address: a virtual one, of a service.
    if (addresses.length > 0) return [...new Set(addresses)]
  }
  return []
}

function targetsOf(endpoint: EndpointNames, table: NameTable, service: string, protocol: string): ServiceTarget[] {
  const target = table.fullNameOf(endpoint)
  const wanted = endpoint.services?.filter(({ name, protocol: by }) => foldName(name) === service && by === protocol)
  if (target === undefined || wanted === undefined) return []
  return wanted.map(({ port }) => ({ target, port, addresses: endpoint.addresses }))
}

function isIpv4(address: string): boolean {
  return !isIpv6(address)
}

function isIpv6(address: string): boolean {
  return address.includes(':')
}
