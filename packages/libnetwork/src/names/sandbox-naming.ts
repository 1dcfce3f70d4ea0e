import { DatagramSocket, isErrno } from '@net/netlink-ffi'
import {
  formatHosts,
  formatResolvConf,
  openResolver,
  overrideResolvConf,
  ownHostRecord,
  SandboxNames,
  transformForInternalResolver,
  transformForLegacyNetwork,
  type AttachedNetwork,
  type BoundFiles,
  type FairSlots,
  type HostRecord,
  type ResolvConf,
  type Resolver,
  type ResolverOptions,
  type ResolverStatistics,
  type UsualPorts,
} from '@net/resolver'
import { inSandbox } from '@net/osl'
import { isNetError, type Logger } from '@net/types'
import type { ResolverTotals } from '../metrics/resolver-totals.ts'
import { HostNameSource } from './host-name-source.ts'
import type { HostResolvConf } from './host-resolv-conf.ts'
import { SandboxFiles, type FilePaths, type FileTexts, type Ipv6Loopback } from './sandbox-files.ts'

/** What is wanted of a sandbox' names, beside what its networks know. */
export interface NamingWishes {
  readonly hostname: string
  readonly domainname?: string | undefined
  /** Lines of the hosts file. */
  readonly extraHosts: readonly HostRecord[]
  /** Undefined: no resolver of its own, the host's servers are asked. */
  readonly dns?: DnsWishes | undefined
}

/** How a sandbox' own resolver is to be. What is left out is as on the host. */
export interface DnsWishes {
  readonly servers?: readonly string[] | undefined
  readonly search?: readonly string[] | undefined
  readonly options?: readonly string[] | undefined
  /** Name by which the sandbox finds its host. */
  readonly hostName?: string | undefined
}

/** What the sandboxes of a controller share for their names. */
export interface NamingDeps {
  readonly host: HostResolvConf
  readonly bound: BoundFiles
  readonly slots: FairSlots
  readonly usualPorts: UsualPorts
  /** What is the same for all their resolvers. Changed by reloading. */
  resolver: Pick<ResolverOptions, 'serverTimeoutMs' | 'timeoutMs' | 'cacheEntries' | 'logQuestions'>
  /** What resolvers did that are closed. */
  readonly past: ResolverTotals
  readonly logger: Logger
}

/** What of a sandbox' place matters to its names. */
export interface NamingView {
  /** The networks it is on, the one of its gateway first. */
  readonly networks: readonly AttachedNetwork[]
  /** Its own addresses, without prefix length. */
  readonly addresses: readonly string[]
  /** The host's addresses, as the sandbox sees them: its default gateways. None: it reaches nothing outside. */
  readonly gateways: readonly string[]
}

const RESOLVER_ADDRESS = '127.0.0.11'
/** Programs ask for a bare name as it is, before they append domains: names of networks are mostly bare. */
const REQUIRED_OPTIONS = ['ndots:0']
/** Of a sandbox that is on no network. */
export const NOWHERE: NamingView = { networks: [], addresses: [], gateways: [] }

/** The names of one sandbox: its resolver, its files, and what it finds by name. */
export class SandboxNaming {
  readonly names = new SandboxNames()
  readonly #key: string
  readonly #deps: NamingDeps
  readonly #files: SandboxFiles
  #wishes: NamingWishes
  #hostName: HostNameSource | undefined
  #view = NOWHERE
  #resolver: Resolver | undefined
  #unfollow: (() => void) | undefined
  /** A change of the host's that is being followed. */
  #following: Promise<void> = Promise.resolve()

  /** For the namespace at `key`; the files come into `folder`. */
  constructor(
    { key, folder }: { readonly key: string; readonly folder: string },
    wishes: NamingWishes,
    deps: NamingDeps,
  ) {
    this.#key = key
    this.#wishes = wishes
    this.#deps = deps
    this.#files = new SandboxFiles(folder, deps.bound)
    this.#hostName = hostNameOf(wishes)
  }

  get wishes(): NamingWishes {
    return this.#wishes
  }

  /** Does otherwise from now on, and says so in the files, which are written anew in place; see {@link SandboxNaming.recorded}. */
  async refresh(wishes: NamingWishes, { isThere }: { readonly isThere: boolean }): Promise<void> {
    await this.release()
    this.#wishes = wishes
    this.#hostName = hostNameOf(wishes)
    if (isThere) await this.open()
    await this.#files.rewrite(() => this.#texts())
  }

  /** The wishes that it was refreshed with are recorded. */
  async recorded(): Promise<void> {
    await this.#files.recorded()
  }

  /** Follows the host's servers, and begins to answer in the namespace, where a resolver is wanted. */
  async open(): Promise<void> {
    const { host } = this.#deps
    this.#unfollow = host.follow(() => {
      this.#following = this.#following.then(() => this.#followHost())
    })
    if (this.wishes.dns === undefined) return
    const { slots, usualPorts, resolver, logger } = this.#deps
    const sources = [this.names, ...(this.#hostName === undefined ? [] : [this.#hostName])]
    this.#resolver = await openResolver(
      { ...resolver, namespace: this.#key, address: RESOLVER_ADDRESS },
      { sources, slots, usualPorts, logger },
    )
    this.#apply()
  }

  /** Goes on where an earlier process ended: answers again, and brings the files up to date. */
  async adopt(view: NamingView): Promise<void> {
    this.#view = view
    this.names.setNetworks(view.networks)
    await this.open()
    await this.adoptFiles()
  }

  /** Knows the files of an earlier process again, and brings them up to date. */
  async adoptFiles(): Promise<void> {
    const { names } = ownHostRecord('127.0.0.1', this.wishes.hostname, this.wishes.domainname)
    await this.#files.adopt(names.join(' '), this.#ownRecords(this.#view.addresses), (where) => this.#texts(where))
  }

  /** Answers no more, until somebody adopts it: everything stays as it is. Safe to call twice. */
  async detach(): Promise<void> {
    await this.#fallSilent({ leaveRules: true })
  }

  /** Answers no more, and leaves nothing in the namespace, which lives on without us. The files stay. Safe to call twice. */
  async release(): Promise<void> {
    await this.#fallSilent({ leaveRules: false })
  }

  /** Says where the sandbox is now. */
  async update(view: NamingView): Promise<void> {
    const before = this.#view
    const { areMade } = this.#files
    this.#view = view
    this.names.setNetworks(view.networks)
    this.#apply()
    // Those that are made from here on say where it is now.
    if (!areMade) return
    // With a resolver, where the sandbox is makes no difference to the file.
    if (this.wishes.dns === undefined) await this.#rewriteResolvConf()
    await this.#removeHosts(before.addresses.filter((address) => !view.addresses.includes(address)))
    await this.#files.addHosts(
      this.#ownRecords(view.addresses.filter((address) => !before.addresses.includes(address))),
    )
  }

  /** What was left is left, whether the file can be written or not. */
  async #removeHosts(addresses: readonly string[]): Promise<void> {
    try {
      await this.#files.removeHosts(this.#ownRecords(addresses))
    } catch (error) {
      this.#deps.logger.error({ err: error, addresses }, 'addresses that were left stay in the hosts file')
    }
  }

  /** The files, made when they are asked for first. */
  files(): FilePaths {
    this.#files.make(() => this.#texts())
    return this.#files.paths
  }

  /** What the resolver has done; undefined where there is none. */
  statistics(): ResolverStatistics | undefined {
    return this.#resolver?.statistics()
  }

  /** Answers no more and removes the files. The namespace is to go next. Safe to call twice. */
  async close(): Promise<void> {
    await this.detach()
    await this.#files.delete()
  }

  async #fallSilent(how: { readonly leaveRules: boolean }): Promise<void> {
    this.#unfollow?.()
    await this.#following
    const resolver = this.#resolver
    if (resolver === undefined) return
    this.#resolver = undefined
    await resolver.close(how)
    this.#deps.past.add(resolver.statistics())
  }

  /** Hands what is wanted now to the resolver. */
  #apply(): void {
    if (this.#resolver === undefined) return
    const conf = this.#conf()
    this.#hostName?.setAddresses(this.#view.gateways)
    this.#resolver.setForwardSingleLabels(conf.ndotsFrom === 'internal' || conf.ndotsFrom === undefined)
    this.#resolver.setServers(this.#view.gateways.length > 0 ? conf.externalServers : [])
  }

  async #followHost(): Promise<void> {
    this.#apply()
    await this.#rewriteResolvConf()
  }

  async #rewriteResolvConf(): Promise<void> {
    try {
      await this.#files.changeResolvConf(() => this.#resolvConf())
    } catch (error) {
      this.#deps.logger.error(
        { err: error, hostname: this.wishes.hostname },
        'resolv.conf could not be brought up to date',
      )
    }
  }

  #hasIpv6Address(): boolean {
    return this.#view.addresses.some((address) => address.includes(':'))
  }

  #conf(): ResolvConf {
    const { dns } = this.wishes
    const { current } = this.#deps.host
    if (dns === undefined) return transformForLegacyNetwork(this.#deps.host.reachable, { ipv6: this.#hasIpv6Address() })
    const { servers: nameServers, search, options } = dns
    return transformForInternalResolver(overrideResolvConf(current, { nameServers, search, options }), {
      nameServer: RESOLVER_ADDRESS,
      requiredOptions: REQUIRED_OPTIONS,
    })
  }

  #resolvConf(): string {
    return formatResolvConf(this.#conf(), { comments: true })
  }

  #texts({ hasIpv6: ipv6 }: Ipv6Loopback = { hasIpv6: hasIpv6(this.#key) }): FileTexts {
    const { hostname, extraHosts } = this.wishes
    return {
      hosts: formatHosts([...extraHosts, ...this.#ownRecords(this.#view.addresses)], { ipv6 }),
      resolvConf: this.#resolvConf(),
      hostname: `${hostname}\n`,
    }
  }

  #ownRecords(addresses: readonly string[]): HostRecord[] {
    const { hostname, domainname } = this.wishes
    return addresses.map((address) => ownHostRecord(address, hostname, domainname))
  }
}

function hostNameOf({ dns }: NamingWishes): HostNameSource | undefined {
  return dns?.hostName === undefined ? undefined : new HostNameSource(dns.hostName)
}

/** Whether programs in the namespace at `key` can have `::1`; of one that is yet to come, as on the host. */
function hasIpv6(key: string): boolean {
  try {
    return inSandbox(key, hasIpv6Here)
  } catch (error) {
    if (isNetError(error, 'ERR_SANDBOX_NOT_FOUND')) return hasIpv6Here()
    throw error
  }
}

/** By binding it: to look for the setting takes the kernel twice as long, and more where others were looked for. */
function hasIpv6Here(): boolean {
  try {
    DatagramSocket.bind({ address: '::1', port: 0 }).close()
    return true
  } catch (error) {
    // Switched off, or a kernel without IPv6.
    if (isErrno(error, 'EADDRNOTAVAIL', 'EAFNOSUPPORT')) return false
    throw error
  }
}
