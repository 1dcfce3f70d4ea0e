import { openResolver, SandboxNames, type NameTable, type RecordSource, type Resolver } from '@net/resolver'
import type { Logger } from '@net/types'

/** Where the host itself is answered. */
export interface HostResolverOptions {
  /** IPv4 address. @defaultValue '127.0.0.1' */
  readonly address?: string | undefined
  /** Of UDP and TCP alike. */
  readonly port: number
}

/** Answers questions of the host for `name.network`, of every network. Bare names are not its business. */
export class HostResolver {
  readonly #names: SandboxNames
  readonly #resolver: Resolver
  readonly #tables = new Set<NameTable>()

  constructor(names: SandboxNames, resolver: Resolver) {
    this.#names = names
    this.#resolver = resolver
  }

  add(table: NameTable): void {
    this.#tables.add(table)
    this.#update()
  }

  remove(table: NameTable): void {
    this.#tables.delete(table)
    this.#update()
  }

  async close(): Promise<void> {
    await this.#resolver.close()
  }

  #update(): void {
    this.#names.setNetworks(Array.from(this.#tables, (table) => ({ table })))
  }
}

/** Opens a resolver for the host. @throws `ERR_SYSTEM_CALL` (EADDRINUSE, EADDRNOTAVAIL), `ERR_INVALID_PORT` */
export async function openHostResolver(
  { address = '127.0.0.1', port }: HostResolverOptions,
  { logger }: { readonly logger: Logger },
): Promise<HostResolver> {
  const names = new SandboxNames()
  const sources: RecordSource[] = [qualified(names)]
  return new HostResolver(names, await openResolver({ address, port, redirect: false }, { sources, logger }))
}

/** The same names, but only where the network is said. */
function qualified(names: SandboxNames): RecordSource {
  return {
    get revision() {
      return names.revision
    },
    findName: (name) => (name.replace(/\.$/, '').includes('.') ? names.findName(name) : undefined),
    findService: (name) => names.findService(name),
    findAddress: (address) => names.findAddress(address),
  }
}
