import { isDomainName } from '@net/resolver'
import { isAddress } from '@net/types'
import { z } from 'zod'
import { InvalidRequestError } from './errors.ts'
import { problemOfPorts, type PortRequest } from './port-request.ts'

/** Options and labels as users give them; their driver checks them. */
export type Options = Readonly<Record<string, unknown>>

/** A pool of a network's addresses. */
export interface PoolConfig {
  /** CIDR. Its family is the network's that the pool is for. */
  readonly pool: string
  /** CIDR inside the pool that endpoints get their addresses from. */
  readonly subPool?: string | undefined
  /** The host's address in the pool. @defaultValue the first free one */
  readonly gateway?: string | undefined
  /** Addresses of the pool that no endpoint is to get, under names of the caller's: a router's, a printer's. */
  readonly auxAddresses?: Readonly<Record<string, string>> | undefined
}

/** Where a network has its addresses from. */
export interface IpamRequest {
  /** The address manager. @defaultValue `default` */
  readonly driver?: string | undefined
  /** At most one a family. @defaultValue chosen by the manager */
  readonly pools?: readonly PoolConfig[] | undefined
  /** What the manager is told beside, when it is asked for pools: a plugin's own settings. */
  readonly options?: Readonly<Record<string, string>> | undefined
}

/** Asks for a network. Plain JSON. */
export interface CreateNetworkRequest {
  /** Unique in the controller. */
  readonly name: string
  /** Type of its driver. @defaultValue the controller's `defaultDriver` */
  readonly driver?: string | undefined
  /** `local` to this host, or `global`, shared by several: as the driver's networks are. @defaultValue the driver's */
  readonly scope?: 'local' | 'global' | undefined
  /** It is nothing but settings (`ipam`, `ipv4`, `ipv6`, `labels`, `options`) for networks to be made from. @defaultValue false */
  readonly configOnly?: boolean | undefined
  /** The network that it takes these settings from, its id or name: then it can have none of its own. */
  readonly configFrom?: string | undefined
  readonly ipam?: IpamRequest | undefined
  /** Whether it has IPv4. @defaultValue true */
  readonly ipv4?: boolean | undefined
  /** Whether it has IPv6. @defaultValue true where an IPv6 pool is given, or without IPv4, else false */
  readonly ipv6?: boolean | undefined
  /** Reaches nothing outside, and is not reached. @defaultValue false */
  readonly internal?: boolean | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly options?: Options | undefined
}

/** Asks for an endpoint. Plain JSON. */
export interface CreateEndpointRequest {
  /** Unique in the network. */
  readonly name: string
  readonly address?: string | undefined
  readonly address6?: string | undefined
  /** More addresses, in 169.254.0.0/16 and fe80::/10: chosen by you, and known to no address manager. */
  readonly linkLocalAddresses?: readonly string[] | undefined
  /** What the network's address manager is told beside, when it is asked for the addresses. */
  readonly ipamOptions?: Readonly<Record<string, string>> | undefined
  /** @defaultValue made from the IPv4 address */
  readonly macAddress?: string | undefined
  readonly aliases?: readonly string[] | undefined
  readonly ports?: readonly PortRequest[] | undefined
  readonly exposed?: readonly { readonly protocol: 'tcp' | 'udp' | 'sctp'; readonly port: number }[] | undefined
  /** Routes that its sandbox gets, besides the one to its own network and the default ones. */
  readonly routes?: readonly RouteRequest[] | undefined
  readonly options?: Options | undefined
}

/** A route that a sandbox gets. */
export interface RouteRequest {
  /** CIDR, other than that of all addresses: which endpoint serves the default route is a matter of priority. */
  readonly destination: string
  /** Next hop, in the endpoint's network. @defaultValue the destination is on the link */
  readonly gateway?: string | undefined
}

/** Asks for a sandbox. Plain JSON. */
export interface CreateSandboxRequest {
  /** Whose sandbox it is: one a container. */
  readonly containerId: string
  /** @defaultValue the first twelve characters of the container's id */
  readonly hostname?: string | undefined
  readonly domainname?: string | undefined
  /** Of your own making; plugins are told of them when an endpoint of theirs joins. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Lines of its hosts file: the address of each name, or several, such as one of each family. */
  readonly extraHosts?: Readonly<Record<string, string | readonly string[]>> | undefined
  /** Its resolver; `false` for none: programs then ask the host's servers. @defaultValue as on the host */
  readonly dns?: DnsRequest | false | undefined
  /**
   * Path of a network namespace that a runtime made, such as `/proc/PID/ns/net`: it is used, and lives as long as its
   * processes. `false`: a runtime brings one later, by `setKey` or its hook. @defaultValue one of its own
   */
  readonly key?: string | false | undefined
}

/** What a sandbox is to be called from now on, and how it finds others. Plain JSON. */
export type RefreshRequest = Pick<CreateSandboxRequest, 'hostname' | 'domainname' | 'extraHosts' | 'dns'>

/** What the resolver of a sandbox does otherwise than the host's. */
export interface DnsRequest {
  /** Addresses of the servers to ask, from the sandbox's own network. @defaultValue the host's, from the host's */
  readonly servers?: readonly string[] | undefined
  /** Domains appended to bare names. @defaultValue the host's */
  readonly search?: readonly string[] | undefined
  /** As in resolv.conf(5): `ndots:1`. @defaultValue the host's */
  readonly options?: readonly string[] | undefined
  /** A name for the host, such as `host.docker.internal`: its address on the network that serves the default route. */
  readonly hostName?: string | undefined
}

/** How an endpoint joins a sandbox. */
export interface JoinOptions {
  /**
   * Of the endpoints of a sandbox, the one with the highest priority serves the default route, in each family that it
   * has one for; of several, the one that joined first. A whole number. @defaultValue 0
   */
  readonly priority?: number | undefined
  /** Names that this sandbox alone has for others of the network: `{ db: 'postgres-1' }`. */
  readonly aliases?: Readonly<Record<string, string>> | undefined
}

/** Endpoint, sandbox and join in one request. */
export interface AttachRequest {
  /** A network, its id or its name. @defaultValue the controller's `defaultNetwork` */
  readonly network?: { readonly id: string } | string | undefined
  readonly endpoint: CreateEndpointRequest
  readonly sandbox: CreateSandboxRequest
  readonly join?: JoinOptions | undefined
}

const name = z
  .string()
  .refine((text) => text.trim() !== '' && text.length <= 255, 'expected 1 to 255 characters, not blank')
const port = z.int('expected a whole number').min(1, 'expected 1 to 65535').max(65_535, 'expected 1 to 65535')
const protocol = z.enum(['tcp', 'udp', 'sctp'], 'expected tcp, udp or sctp')
const options = z.record(z.string(), z.unknown())
const texts = z.record(z.string(), z.string())

const address = z.string().refine(isAddress, 'expected an IPv4 or IPv6 address')

const createNetworkSchema: z.ZodType<CreateNetworkRequest> = z.strictObject({
  name,
  driver: z.string().optional(),
  scope: z.enum(['local', 'global'], 'expected local or global').optional(),
  configOnly: z.boolean().optional(),
  configFrom: z.string().optional(),
  ipam: z
    .strictObject({
      driver: z.string().optional(),
      pools: z
        .array(
          z.strictObject({
            pool: z.string(),
            subPool: z.string().optional(),
            gateway: z.string().optional(),
            auxAddresses: texts.optional(),
          }),
        )
        .optional(),
      options: texts.optional(),
    })
    .optional(),
  ipv4: z.boolean().optional(),
  ipv6: z.boolean().optional(),
  internal: z.boolean().optional(),
  labels: texts.optional(),
  options: options.optional(),
})

const portSchema = z
  .strictObject({
    protocol: protocol.optional(),
    containerPort: port,
    containerPortEnd: port.optional(),
    hostPort: port.optional(),
    hostPortEnd: port.optional(),
    hostAddress: z.string().optional(),
  })
  .superRefine((request, context) => {
    const problem = problemOfPorts(request)
    if (problem !== undefined) context.addIssue({ code: 'custom', path: [problem.member], message: problem.expected })
  })
const portsSchema: z.ZodType<readonly PortRequest[]> = z.array(portSchema)

const createEndpointSchema: z.ZodType<CreateEndpointRequest> = z.strictObject({
  name,
  address: z.string().optional(),
  address6: z.string().optional(),
  linkLocalAddresses: z.array(z.string()).optional(),
  ipamOptions: texts.optional(),
  macAddress: z.string().optional(),
  aliases: z.array(name).optional(),
  ports: portsSchema.optional(),
  exposed: z.array(z.strictObject({ protocol, port })).optional(),
  routes: z.array(z.strictObject({ destination: z.string(), gateway: z.string().optional() })).optional(),
  options: options.optional(),
})

const hostname = z
  .string()
  .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,62})$/, 'expected up to 63 letters, digits, dots and dashes')

const domainName = z.string().refine(isDomainName, 'expected a domain name')
const word = z.string().regex(/^[^\s#]+$/, 'expected one word')
const ndots = z
  .string()
  .refine((option) => !/^ndots(:|$)/.test(option) || /^ndots:[0-9]{1,2}$/.test(option), 'expected ndots:0 to ndots:15')

const path = z
  .string()
  .refine((text) => text.startsWith('/') && text.length < 4_096 && !text.includes('\0'), 'expected an absolute path')

const refreshMembers = {
  hostname: hostname.optional(),
  domainname: hostname.optional(),
  extraHosts: z.record(word, z.union([address, z.array(address).min(1)], 'expected IPv4 or IPv6 addresses')).optional(),
  dns: z
    .union([
      z.literal(false),
      z.strictObject({
        servers: z.array(address).optional(),
        search: z.array(z.union([z.literal('.'), domainName], 'expected a domain name')).optional(),
        options: z.array(z.intersection(word, ndots)).optional(),
        hostName: domainName.optional(),
      }),
    ])
    .optional(),
}

const refreshSchema: z.ZodType<RefreshRequest> = z.strictObject(refreshMembers)

const createSandboxSchema: z.ZodType<CreateSandboxRequest> = z.strictObject({
  containerId: name,
  ...refreshMembers,
  labels: texts.optional(),
  key: z.union([z.literal(false), path], 'expected an absolute path or false').optional(),
})

const joinSchema: z.ZodType<JoinOptions> = z.strictObject({
  priority: z.int('expected a whole number').optional(),
  aliases: z.record(domainName, domainName).optional(),
})

const attachSchema: z.ZodType<AttachRequest> = z.strictObject({
  network: z.union([z.string(), z.custom<{ id: string }>(hasId)], 'expected a network, its id or its name').optional(),
  endpoint: createEndpointSchema,
  sandbox: createSandboxSchema,
  join: joinSchema.optional(),
})

function hasId(value: unknown): boolean {
  return typeof (value as { id?: unknown } | undefined | null)?.id === 'string'
}

/** @throws InvalidRequestError (`ERR_INVALID_REQUEST`) */
export const parseAttach = parser('request to attach', attachSchema)
/** @throws InvalidRequestError (`ERR_INVALID_REQUEST`) */
export const parseCreateNetwork = parser('network', createNetworkSchema)
/** @throws InvalidRequestError (`ERR_INVALID_REQUEST`) */
export const parseCreateEndpoint = parser('endpoint', createEndpointSchema)
/** @throws InvalidRequestError (`ERR_INVALID_REQUEST`) */
export const parseCreateSandbox = parser('sandbox', createSandboxSchema)
/** @throws InvalidRequestError (`ERR_INVALID_REQUEST`) */
export const parseRefresh = parser('sandbox', refreshSchema)
/** @throws InvalidRequestError (`ERR_INVALID_REQUEST`) */
export const parseJoin = parser('join', joinSchema)
/** @throws InvalidRequestError (`ERR_INVALID_REQUEST`) */
export const parsePorts = parser('ports', portsSchema)

/** Checks what `what` is by a schema. */
export function parser<T>(what: string, schema: z.ZodType<T>): (request: T) => T {
  return (request) => {
    const result = schema.safeParse(request)
    if (result.success) return result.data
    const issue = result.error.issues[0]
    const member = issue?.path.join('.') ?? ''
    throw new InvalidRequestError(what, member, `${issue?.message ?? 'not understood'}${given(request, issue?.path)}`)
  }
}

/** @throws InvalidRequestError (`ERR_INVALID_REQUEST`) */
export const parseName = parser('name', name)

/** @throws InvalidRequestError (`ERR_INVALID_REQUEST`) */
export const parseKey = parser('key', path)

/** Id of what a handle, or an id itself, stands for. @throws InvalidRequestError (`ERR_INVALID_REQUEST`) */
export function idOf(what: string, handle: { readonly id: string } | string | undefined): string {
  if (typeof handle === 'string') return handle
  if (handle !== undefined && hasId(handle)) return handle.id
  throw new InvalidRequestError(what, '', `expected a ${what} or its id, got ${typeof handle}`)
}

/** The offending value, where it is short enough to say. */
function given(request: unknown, path: readonly PropertyKey[] = []): string {
  let value: unknown = request
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key]
  const text = typeof value === 'bigint' ? `${value}n` : typeof value === 'object' ? undefined : JSON.stringify(value)
  return text === undefined || text.length > 80 ? '' : `, got ${text}`
}
