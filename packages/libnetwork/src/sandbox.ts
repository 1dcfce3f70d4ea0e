import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import type { LinkStatistics } from '@net/netlink-ffi'
import { inSandbox } from '@net/osl'
import { NotImplementedError } from '@net/types'
import type { Core } from './core.ts'
import { Endpoint } from './endpoint.ts'
import { deleteSandbox } from './join-operations.ts'
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

  get hostname(): string | undefined {
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

  /** @throws `ERR_NOT_IMPLEMENTED` */
  get files(): never {
    throw new NotImplementedError('sandbox.files')
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

  /** @throws `ERR_NOT_IMPLEMENTED` */
  resolveName(): Promise<never> {
    return Promise.reject(new NotImplementedError('sandbox.resolveName()'))
  }

  /** @throws `ERR_NOT_IMPLEMENTED` */
  resolveAddress(): Promise<never> {
    return Promise.reject(new NotImplementedError('sandbox.resolveAddress()'))
  }

  /** @throws `ERR_NOT_IMPLEMENTED` */
  refresh(): Promise<never> {
    return Promise.reject(new NotImplementedError('sandbox.refresh()'))
  }

  /** @throws `ERR_NOT_IMPLEMENTED` */
  rename(): Promise<never> {
    return Promise.reject(new NotImplementedError('sandbox.rename()'))
  }

  /** @throws `ERR_NOT_IMPLEMENTED` */
  setKey(): Promise<never> {
    return Promise.reject(new NotImplementedError('sandbox.setKey()'))
  }
}
