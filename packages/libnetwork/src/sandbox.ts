import type { LinkStatistics } from '@net/netlink-ffi'
import type { SandboxProcess } from '@net/osl'
import type { ResolverStatistics } from '@net/resolver'
import { formatAddress, parseAddress, type CallOptions } from '@net/types'
import type { Core } from './core.ts'
import { Endpoint } from './endpoint.ts'
import { deleteSandbox, refreshSandbox, renameSandbox } from './join-operations.ts'
import { setKey } from './keys/set-key.ts'
import type { FilePaths } from './names/sandbox-files.ts'
import { parseKey, parseName, parseRefresh, type RefreshRequest } from './requests.ts'
import { parseSpawn, type SpawnInSandboxOptions } from './spawn-request.ts'
import type { SandboxEntry } from './state.ts'
import { checkReady } from './usable.ts'

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

  get labels(): Readonly<Record<string, string>> {
    return this.#entry.record.labels ?? {}
  }

  /** Path of the network namespace: `nsenter --net=KEY`. Nothing is there while a runtime is yet to bring one. */
  get key(): string {
    return this.#entry.record.key
  }

  /** The endpoints joined to it, in the order of joining. */
  endpoints(): Endpoint[] {
    return Array.from(this.#entry.endpoints, (entry) => new Endpoint(this.#core, entry))
  }

  /**
   * Starts a program in this network, as `child_process.spawn` does: by a thread, so `pid` is known from its event
   * `spawn` on. It sees the sandbox' {@link Sandbox.files} and host name in the place of the host's, and may do nothing
   * that only root may, whichever user it runs as, but for the `capabilities` it is given.
   *
   * @throws `ERR_NO_SUCH_SANDBOX`, `ERR_INVALID_REQUEST`, `ERR_SYSTEM_CALL` (a descriptor that is not open)
   */
  spawn(command: string, args: readonly string[] = [], options: SpawnInSandboxOptions = {}): SandboxProcess {
    const { record, naming } = this.#living()
    const { program, start } = parseSpawn(command, args, options)
    const { hosts, resolvConf, hostname } = naming.files()
    const view = {
      files: [
        { source: hosts, target: '/etc/hosts' },
        { source: resolvConf, target: '/etc/resolv.conf' },
        { source: hostname, target: '/etc/hostname' },
      ],
      hostname: record.hostname,
      domainname: record.domainname,
    }
    return this.#core.executor.spawn({ ...program, key: record.key, view }, start)
  }

  /** Its entry, unless it is being made or deleted: its files are removed then, and not to be made again. */
  #living(): SandboxEntry {
    const entry = this.#core.state.getSandbox(this.id)
    checkReady(`sandbox ${this.containerId}`, entry)
    return entry
  }

  /** Deletes it with the endpoints joined to it. Programs in it lose their network. Safe to call twice. */
  async delete(call?: CallOptions): Promise<void> {
    const { meters } = this.#core
    await this.#core.run(() => meters.detach.time(() => deleteSandbox(this.#core, this.#entry, call)), call)
  }

  /**
   * Files for `/etc/hosts`, `/etc/resolv.conf` and `/etc/hostname` of the container; made when they are asked for
   * first, and kept up to date in place. What is written into them by others is kept.
   *
   * @throws `ERR_NO_SUCH_SANDBOX`, `ERR_BUSY` while it is being made or deleted
   */
  get files(): FilePaths {
    return this.#living().naming.files()
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

  /**
   * Gives it other names, lines of its hosts file and another resolver, as if it had been made with `options`; what is
   * left out is as by default. Its files are written anew in place. Interfaces and connections stay as they are.
   *
   * @throws `ERR_NO_SUCH_SANDBOX`, `ERR_INVALID_REQUEST`
   */
  async refresh(options: RefreshRequest = {}): Promise<void> {
    await this.#core.run(() => refreshSandbox(this.#core, this.#entry, parseRefresh(options)))
  }

  /**
   * Gives its endpoints another name: it is known by that at once, and no more by the one before.
   *
   * @throws `ERR_ENDPOINT_EXISTS` (and then none is renamed), `ERR_NO_SUCH_SANDBOX`, `ERR_INVALID_REQUEST`
   */
  async rename(name: string): Promise<void> {
    await this.#core.run(() => renameSandbox(this.#core, this.#entry, parseName(name)))
  }

  /**
   * Gives it the network namespace at `path`, which a runtime made, with the interfaces of the endpoints that joined
   * before. It leaves the one that it has. All or nothing: where it fails, the sandbox waits for another one.
   *
   * @throws `ERR_INVALID_NAMESPACE`, `ERR_SANDBOX_NOT_FOUND` (nothing is at `path`), `ERR_NO_SUCH_SANDBOX`, …
   */
  async setKey(path: string, call?: CallOptions): Promise<void> {
    await this.#core.run(() => setKey(this.#core, this.#entry, parseKey(path), call), call)
  }
}
