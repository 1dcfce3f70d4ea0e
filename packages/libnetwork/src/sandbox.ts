import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import type { LinkStatistics } from '@net/netlink-ffi'
import { inSandbox } from '@net/osl'
import type { ResolverStatistics } from '@net/resolver'
import { formatAddress, NotImplementedError, parseAddress } from '@net/types'
import type { Core } from './core.ts'
import { Endpoint } from './endpoint.ts'
import { deleteSandbox, renameSandbox } from './join-operations.ts'
import type { FilePaths } from './names/sandbox-files.ts'
import { parseName } from './requests.ts'
import type { SandboxEntry } from './state.ts'

/** How {@link Sandbox.spawn} starts a program: as `child_process.spawn` does. */
export type SpawnInSandboxOptions = Pick<SpawnOptions, 'uid' | 'gid' | 'env' | 'cwd' | 'stdio' | 'signal'>

/** Bytes, packets, errors and drops, received (`rx`) and sent (`tx`). */
export type InterfaceStatistics = LinkStatistics

/** A container's network: a namespace with the interfaces of the endpoints that joined it. */
export class Sandbox {
  readonly #core: Core
  readonly #entry: SandboxEntry

  /** @internal Sandboxes come from a controller. */
  constructor(core: Core, entry: SandboxEntry) {
    this.#core = core
    this.#entry = entry
  }

  get id(): string {
    return this.#entry.record.id
  }

  get containerId(): string {
    return this.#entry.record.containerId
  }

  get hostname(): string {
    return this.#entry.record.hostname
  }

  get domainname(): string | undefined {
    return this.#entry.record.domainname
  }

  /** Path of the network namespace: `nsenter --net=KEY`. */
  get key(): string {
    return this.#entry.record.key
  }

  /** The endpoints joined to it, in the order of joining. */
  endpoints(): Endpoint[] {
    return Array.from(this.#entry.endpoints, (id) => new Endpoint(this.#core, this.#core.state.getEndpoint(id)))
  }

  /**
   * Starts a program in this network. Its files and host name are the host's.
   *
   * @throws `ERR_NO_SUCH_SANDBOX`, `ERR_SANDBOX_NOT_FOUND`
   */
  spawn(command: string, args: readonly string[] = [], options: SpawnInSandboxOptions = {}): ChildProcess {
    this.#core.state.getSandbox(this.id)
    return inSandbox(this.key, () => spawn(command, args, options))
  }

  /** Deletes it with the endpoints joined to it. Programs in it lose their network. Safe to call twice. */
  async delete(): Promise<void> {
    await this.#core.run(() => deleteSandbox(this.#core, this.#entry))
  }

  /**
   * Files for `/etc/hosts`, `/etc/resolv.conf` and `/etc/hostname` of the container; made when they are asked for
   * first, and kept up to date in place. What is written into them by others is kept.
   *
   * @throws `ERR_NO_SUCH_SANDBOX`
   */
  get files(): FilePaths {
    return this.#core.state.getSandbox(this.id).naming.files()
  }

  /**
   * What has passed each interface of its endpoints since they joined, by the interface's name.
   *
   * @throws `ERR_NO_SUCH_SANDBOX`, `ERR_SANDBOX_NOT_FOUND`
   */
  async statistics(): Promise<Readonly<Record<string, InterfaceStatistics>>> {
    return this.#core.run(async () => {
      this.#core.state.getSandbox(this.id)
      const all = await this.#core.executor.statistics(this.key)
      const names = this.endpoints().flatMap(({ interfaceName }) => interfaceName ?? [])
      return Object.fromEntries(
        names.flatMap((name) => {
          const statistics = all.get(name)
          return statistics === undefined ? [] : [[name, statistics]]
        }),
      )
    })
  }

  /**
   * The addresses of a name, as programs in the sandbox find them on its networks: IPv4 before IPv6. None where the name
   * is not known there. Nobody else is asked.
   *
   * @throws `ERR_NO_SUCH_SANDBOX`
   */
  resolveName(name: string): Promise<readonly string[]> {
    return this.#core.run(() => {
      const { names } = this.#core.state.getSandbox(this.id).naming
      return Promise.resolve(names.findName(name)?.addresses ?? [])
    })
  }

  /**
   * The name of an address on the sandbox' networks: `web.NETWORK`. Undefined where it is not known there.
   *
   * @throws `ERR_NO_SUCH_SANDBOX`, `ERR_INVALID_ADDRESS`
   */
  resolveAddress(address: string): Promise<string | undefined> {
    return this.#core.run(() => {
      const { names } = this.#core.state.getSandbox(this.id).naming
      return Promise.resolve(names.findAddress(formatAddress(parseAddress(address))))
    })
  }

  /** What its resolver has done so far; undefined where it has none. @throws `ERR_NO_SUCH_SANDBOX` */
  dnsStatistics(): ResolverStatistics | undefined {
    return this.#core.state.getSandbox(this.id).naming.statistics()
  }

  /** @throws `ERR_NOT_IMPLEMENTED` */
  refresh(): Promise<never> {
    return Promise.reject(new NotImplementedError('sandbox.refresh()'))
  }

  /**
   * Gives its endpoints another name: it is known by that at once, and no more by the one before.
   *
   * @throws `ERR_ENDPOINT_EXISTS` (and then none is renamed), `ERR_NO_SUCH_SANDBOX`, `ERR_INVALID_REQUEST`
   */
  async rename(name: string): Promise<void> {
    await this.#core.run(() => renameSandbox(this.#core, this.#entry, parseName(name)))
  }

  /** @throws `ERR_NOT_IMPLEMENTED` */
  setKey(): Promise<never> {
    return Promise.reject(new NotImplementedError('sandbox.setKey()'))
  }
}
