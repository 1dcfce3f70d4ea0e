import type { Store } from '@net/datastore'
import type { NetworkDriver } from '@net/driverapi'
import type { ForeignAnswer } from '@net/firewall'
import type { IpamDriver } from '@net/ipamapi'
import type { DriftAnswer } from '@net/osl'
import type { PortAllocatorOptions } from '@net/portallocator'
import type { FairSlotsOptions } from '@net/resolver'
import type { Logger } from '@net/types'
import { z } from 'zod'
import type { PluginSearch } from './ipam-registry.ts'
import type { UserlandProxy } from './loopback/loopback-ports.ts'
import type { HostResolverOptions } from './names/host-resolver.ts'
import type { NamingDeps } from './names/sandbox-naming.ts'
import type { KeepingOptions } from './records/open-store.ts'
import { parser } from './requests.ts'

/** What can be chosen about a controller. */
export interface ControllerOptions extends KeepingOptions {
  /** One process at a time opens a controller of this name on a host. @defaultValue its random id */
  readonly name?: string | undefined
  /** Folder below which namespaces are mounted. @defaultValue `/run/net` */
  readonly runtimeDirectory?: string | undefined
  /** Network drivers beside the built-in ones (`bridge`). */
  readonly drivers?: readonly NetworkDriver[] | undefined
  /** Driver of networks that name none; may be a plugin. @defaultValue 'bridge' */
  readonly defaultDriver?: string | undefined
  /** Name of the network of those who attach to none by name. @defaultValue they have to name one */
  readonly defaultNetwork?: string | undefined
  /**
   * Name of the network by which sandboxes reach the outside whose own networks do not lead there. One of that name is
   * used if it is there; else it is made when it is needed first. @defaultValue 'net_gateway'
   */
  readonly gatewayNetwork?: string | undefined
  /** Address managers beside the built-in ones (`default`, `null`), or in the place of one, by its name. */
  readonly ipam?: readonly IpamDriver[] | undefined
  /** Where network drivers and address managers are looked for that are plugins. @defaultValue where Docker's are */
  readonly plugins?: PluginSearch | undefined
  /** Pools that networks get when they name none: CIDR `base`, cut into subnets of prefix length `size`. */
  readonly pools?: readonly { readonly base: string; readonly size: number }[] | undefined
  readonly ports?: PortAllocatorOptions | undefined
  readonly dns?: ControllerDnsOptions | undefined
  /** What packet rules are made of: `iptables` for hosts whose other rules are. @defaultValue 'nftables' */
  readonly firewall?: 'nftables' | 'iptables' | undefined
  /**
   * What to do about a firewall of another program that drops packets of networks (Docker's, ufw's, firewalld's): tell
   * of it, or put two rules into its chain that let them pass. @defaultValue 'warn'
   */
  readonly foreignFirewall?: ForeignAnswer | undefined
  /**
   * What to do when somebody else changes or deletes bridges, their addresses, the host's ends of interfaces or packet
   * rules: tell of it, or put it right as well. Rules of iptables are not watched. @defaultValue 'repair'
   */
  readonly drift?: DriftAnswer | undefined
  /**
   * Whether a proxy process leads published ports of `::1` to containers, the one address of the host that packet rules
   * do not. @defaultValue 'off'
   */
  readonly userlandProxy?: UserlandProxy | undefined
  readonly logger?: Logger | undefined
}

/** How names are answered, in all sandboxes of a controller. */
export interface ControllerDnsOptions extends Partial<NamingDeps['resolver']> {
  /** The host's resolv.conf: what sandboxes' are made of, and followed as it changes. @defaultValue `/etc/resolv.conf` */
  readonly resolvConf?: string | undefined
  /** Questions to other servers under way at a time, of all sandboxes together and of each. @defaultValue 1024 and 256 */
  readonly slots?: FairSlotsOptions | undefined
  /** Answer the host itself, to questions for `name.network`. @defaultValue nobody does */
  readonly host?: HostResolverOptions | undefined
}

/** A longer name would not fit an abstract socket's address (struct sockaddr_un). */
const NAME_BYTES = 100

const text = z.string().refine((value) => value.trim() !== '', 'expected a name')
const milliseconds = z.int('expected whole milliseconds').min(0, 'expected whole milliseconds')
const wholeNumber = z.int('expected a whole number').min(0, 'expected a whole number')
const port = z.int('expected 1 to 65535').min(1, 'expected 1 to 65535').max(65_535, 'expected 1 to 65535')
const folder = z.string().refine((path) => path !== '' && !path.includes('\0'), 'expected a path')
const choice = <const Choices extends readonly [string, ...string[]]>(...choices: Choices) =>
  z.enum(choices, `expected ${choices.join(' or ')}`)

/** What has methods: looked at for the ones that it is of no use without. */
const having = <T>(what: string, ...methods: readonly string[]) =>
  z.custom<T>(
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function'),
    `expected ${what}`,
  )

const dns: z.ZodType<ControllerDnsOptions> = z.strictObject({
  serverTimeoutMs: milliseconds.optional(),
  timeoutMs: milliseconds.optional(),
  cacheEntries: wholeNumber.optional(),
  logQuestions: z.boolean().optional(),
  resolvConf: folder.optional(),
  slots: z.strictObject({ total: wholeNumber, each: wholeNumber }).optional(),
  host: z.strictObject({ address: z.string().optional(), port }).optional(),
})

/** Strict: a member that nobody knows is a misspelt one, and what it was to say must not be lost. */
const schema: z.ZodType<ControllerOptions> = z.strictObject({
  name: z
    .string()
    .refine((name) => name !== '' && Buffer.byteLength(name) <= NAME_BYTES, `expected 1 to ${NAME_BYTES} bytes`)
    .optional(),
  runtimeDirectory: folder.optional(),
  onClose: choice('keep', 'delete').optional(),
  stateDirectory: folder.optional(),
  stores: z.strictObject({ local: having<Store>('a store', 'get', 'list', 'transaction').optional() }).optional(),
  drivers: z.array(having<NetworkDriver>('a network driver', 'planNetwork', 'planEndpoint')).optional(),
  defaultDriver: text.optional(),
  defaultNetwork: text.optional(),
  gatewayNetwork: text.optional(),
  ipam: z.array(having<IpamDriver>('an address manager', 'requestPool', 'requestAddress')).optional(),
  plugins: z
    .strictObject({
      socketFolders: z.array(folder).optional(),
      specFolders: z.array(folder).optional(),
      timeoutMs: milliseconds.optional(),
      retryMs: milliseconds.optional(),
      maxReplyBytes: wholeNumber.optional(),
    })
    .optional(),
  pools: z.array(z.strictObject({ base: z.string(), size: z.number() })).optional(),
  ports: z
    .strictObject({
      ephemeral: z.strictObject({ first: port, last: port }).optional(),
      hold: z.boolean().optional(),
      holdAtMost: wholeNumber.optional(),
    })
    .optional(),
  dns: dns.optional(),
  firewall: choice('nftables', 'iptables').optional(),
  foreignFirewall: choice('warn', 'insert').optional(),
  drift: choice('off', 'report', 'repair').optional(),
  userlandProxy: choice('auto', 'off').optional(),
  logger: having<Logger>('a logger', 'debug', 'info', 'warn', 'error').optional(),
})

/** Refuses what a controller cannot be opened with. @throws InvalidRequestError (`ERR_INVALID_REQUEST`) */
export const checkControllerOptions: (options: ControllerOptions) => void = parser('controller', schema)
