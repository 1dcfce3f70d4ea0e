import {
  fieldOf,
  InvalidPluginError,
  isObject,
  servePlugin,
  textOf,
  textsOf,
  type Fields,
  type PluginMethod,
  type RunningPlugin,
  type ServePluginOptions,
} from '@net/plugins'
import type { CallOptions, Logger } from '@net/types'

/** A pool of a network, with its gateway and the addresses that are not given to endpoints, all with prefix length. */
export interface PluginPool {
  /** Of the address manager; `null` where it has no addresses: the plugin chooses those of endpoints. */
  readonly addressSpace: string
  readonly pool: string
  readonly gateway?: string | undefined
  readonly auxAddresses: Readonly<Record<string, string>>
}

/** A network that a plugin is to make. */
export interface PluginNetwork {
  readonly networkId: string
  /** What the user gave is below `com.docker.network.generic`. */
  readonly options: Readonly<Record<string, unknown>>
  readonly ipv4: readonly PluginPool[]
  readonly ipv6: readonly PluginPool[]
}

/** Which endpoint a call is about. */
export interface PluginEndpoint {
  readonly networkId: string
  readonly endpointId: string
}

/** Addresses of an endpoint, those with prefix length that are of a family. Absent: it has none. */
export interface PluginInterface {
  readonly address?: string | undefined
  readonly address6?: string | undefined
  readonly macAddress?: string | undefined
}

/** What a sandbox gets when an endpoint joins it. */
export interface PluginJoin {
  /** The link on the host that is moved into the sandbox; absent: none. */
  readonly interface?:
    | {
        readonly hostName: string
        /** Its name in the sandbox is this with the lowest number that is free. @defaultValue 'eth' */
        readonly prefix?: string | undefined
        /** Its name in the sandbox. */
        readonly name?: string | undefined
      }
    | undefined
  readonly gateway?: string | undefined
  readonly gateway6?: string | undefined
  /** Without a gateway: the destination is on the link. @defaultValue none */
  readonly routes?: readonly { readonly destination: string; readonly gateway?: string | undefined }[] | undefined
  /** Whether the endpoint does without a default route. @defaultValue false */
  readonly disableGatewayService?: boolean | undefined
}

/** What a network plugin does. Whatever is thrown reaches who asked as words. */
export interface NetworkPlugin {
  createNetwork(network: PluginNetwork, call: CallOptions): Promise<void>
  /** Asked for a network that is not there, too: after a crash nobody knows how far it came. */
  deleteNetwork(networkId: string, call: CallOptions): Promise<void>
  /** Returns what it chose of what the endpoint does not have yet. */
  createEndpoint(
    endpoint: PluginEndpoint & {
      readonly interface: PluginInterface
      readonly options: Readonly<Record<string, unknown>>
    },
    call: CallOptions,
  ): Promise<PluginInterface | undefined>
  deleteEndpoint(endpoint: PluginEndpoint, call: CallOptions): Promise<void>
  join(
    endpoint: PluginEndpoint & { readonly sandboxKey: string; readonly options: Readonly<Record<string, unknown>> },
    call: CallOptions,
  ): Promise<PluginJoin>
  /** The link is on the host again, under its old name. */
  leave(endpoint: PluginEndpoint, call: CallOptions): Promise<void>
  /** @defaultValue nothing is known of it */
  endpointInfo?(endpoint: PluginEndpoint, call: CallOptions): Promise<Readonly<Record<string, unknown>>>
  /** The endpoint serves the default route of its sandbox. @defaultValue that is no concern of the plugin's */
  programExternalConnectivity?(
    endpoint: PluginEndpoint & { readonly options: Readonly<Record<string, unknown>> },
    call: CallOptions,
  ): Promise<void>
  /** It does so no more. */
  revokeExternalConnectivity?(endpoint: PluginEndpoint, call: CallOptions): Promise<void>
}

/** What a served network plugin is given to work with. */
export interface ServeDriverDeps {
  readonly logger?: Logger | undefined
}

/**
 * Makes the program a network plugin, for Docker or for {@link remoteDriver}.
 *
 * @param plugin - borrowed
 * @throws `ERR_PLUGIN_SOCKET`, `ERR_INVALID_PLUGIN`
 */
export function serveDriver(
  plugin: NetworkPlugin,
  options: ServePluginOptions,
  { logger }: ServeDriverDeps = {},
): Promise<RunningPlugin> {
  return servePlugin({ kind: 'NetworkDriver', methods: methodsOf(plugin), answerOf, logger }, options)
}

function answerOf(error: unknown): object {
  return { Err: error instanceof Error && error.message !== '' ? error.message : String(error) }
}

/** The calls of the protocol. What a plugin does not concern itself with it has no call for. */
function methodsOf(plugin: NetworkPlugin): Record<string, PluginMethod> {
  return {
    GetCapabilities: () => Promise.resolve({ answer: { Scope: 'local', ConnectivityScope: 'local' } }),
    CreateNetwork: async (body, call) => {
      await plugin.createNetwork(networkOf(body), call)
      return NOTHING
    },
    DeleteNetwork: async (body, call) => {
      await plugin.deleteNetwork(textOf(body, 'NetworkID', refuse), call)
      return NOTHING
    },
    CreateEndpoint: async (body, call) => {
      const request = { ...endpointOf(body), interface: interfaceOf(body), options: optionsOf(body) }
      return { answer: { Interface: interfaceAnswer((await plugin.createEndpoint(request, call)) ?? {}) } }
    },
    DeleteEndpoint: async (body, call) => {
      await plugin.deleteEndpoint(endpointOf(body), call)
      return NOTHING
    },
    EndpointOperInfo: async (body, call) => {
      return { answer: { Value: (await plugin.endpointInfo?.(endpointOf(body), call)) ?? {} } }
    },
    Join: async (body, call) => {
      const request = {
        ...endpointOf(body),
        sandboxKey: textOf(body, 'SandboxKey', refuse),
        options: optionsOf(body),
      }
      return { answer: joinAnswer(await plugin.join(request, call)) }
    },
    Leave: async (body, call) => {
      await plugin.leave(endpointOf(body), call)
      return NOTHING
    },
    ...connectivityMethods(plugin),
  }
}

function connectivityMethods(plugin: NetworkPlugin): Record<string, PluginMethod> {
  const methods: Record<string, PluginMethod> = {}
  if (plugin.programExternalConnectivity !== undefined) {
    methods.ProgramExternalConnectivity = async (body, call) => {
      await plugin.programExternalConnectivity?.({ ...endpointOf(body), options: optionsOf(body) }, call)
      return NOTHING
    }
  }
  if (plugin.revokeExternalConnectivity !== undefined) {
    methods.RevokeExternalConnectivity = async (body, call) => {
      await plugin.revokeExternalConnectivity?.(endpointOf(body), call)
      return NOTHING
    }
  }
  return methods
}

const NOTHING = { answer: {} } as const

function endpointOf(body: Fields): PluginEndpoint {
  return { networkId: textOf(body, 'NetworkID', refuse), endpointId: textOf(body, 'EndpointID', refuse) }
}

function networkOf(body: Fields): PluginNetwork {
  return {
    networkId: textOf(body, 'NetworkID', refuse),
    options: optionsOf(body),
    ipv4: poolsOf(body, 'IPv4Data'),
    ipv6: poolsOf(body, 'IPv6Data'),
  }
}

function poolsOf(body: Fields, field: string): PluginPool[] {
  const pools = fieldOf(body, field) ?? []
  if (!Array.isArray(pools)) return refuse(`${field} is no list`)
  return pools.map((pool: unknown) => {
    if (!isObject(pool)) return refuse(`${field} has what is no object`)
    return {
      addressSpace: textOf(pool, 'AddressSpace', refuse),
      pool: textOf(pool, 'Pool', refuse),
      gateway: presentText(pool, 'Gateway'),
      auxAddresses: textsOf(pool, 'AuxAddresses', refuse),
    }
  })
}

function interfaceOf(body: Fields): PluginInterface {
  const given = objectOf(body, 'Interface')
  return {
    address: presentText(given, 'Address'),
    address6: presentText(given, 'AddressIPv6'),
    macAddress: presentText(given, 'MacAddress'),
  }
}

function interfaceAnswer({ address = '', address6 = '', macAddress = '' }: PluginInterface): object {
  return { Address: address, AddressIPv6: address6, MacAddress: macAddress }
}

function joinAnswer(join: PluginJoin): object {
  const { hostName = '', prefix = 'eth', name = '' } = join.interface ?? {}
  return {
    InterfaceName: { SrcName: hostName, DstPrefix: prefix, DstName: name },
    Gateway: join.gateway ?? '',
    GatewayIPv6: join.gateway6 ?? '',
    StaticRoutes: (join.routes ?? []).map(({ destination, gateway }) => ({
      Destination: destination,
      RouteType: gateway === undefined ? 1 : 0,
      NextHop: gateway ?? '',
    })),
    DisableGatewayService: join.disableGatewayService ?? false,
  }
}

function optionsOf(body: Fields): Readonly<Record<string, unknown>> {
  return objectOf(body, 'Options')
}

function objectOf(fields: Fields, field: string): Fields {
  const value = fieldOf(fields, field) ?? {}
  return isObject(value) ? value : refuse(`${field} is no object`)
}

/** Empty texts stand for nothing. */
function presentText(fields: Fields, field: string): string | undefined {
  const text = textOf(fields, field, refuse)
  return text === '' ? undefined : text
}

function refuse(why: string): never {
  throw new InvalidPluginError('plugin request', why, 'the fields of the protocol')
}
