import type {
  CheckEndpointRequest,
  CheckNetworkRequest,
  EndpointRecord,
  JoinPlan,
  NetworkDriver,
  NetworkPlan,
  NetworkRecord,
  Sysctl,
} from '@net/driverapi'
import { PluginClient, PluginReplyError, type PluginOptions } from '@net/plugins'
import { labels, type CallOptions } from '@net/types'
import { PortsUnsupportedError } from './errors.ts'
import type { RemoteEndpointOptions, RemoteOptions } from './options.ts'
import { RemoteEffects } from './remote-effects.ts'
import { joinAnswerOf, readEndpointOptions, readJoined, readNetworkOptions } from './stored-forms.ts'

/** A driver that is a plugin. */
export type RemoteDriver = NetworkDriver<RemoteOptions, RemoteEndpointOptions> & {
  /** Whether the plugin is there, and speaks as it has to. @throws as its effects */
  readonly activate: (call?: CallOptions) => Promise<void>
}

/**
 * The driver of networks that are a plugin's. The plugin is looked for when something is asked of it first, and is
 * activated then; one that is not there yet can be planned with.
 *
 * Its effects throw `ERR_PLUGIN_NOT_FOUND`, `ERR_PLUGIN_UNAVAILABLE`, `ERR_PLUGIN_REPLY`, `ERR_PLUGIN_REFUSED`,
 * `ERR_PLUGIN_SCOPE` and `ERR_INTERFACE_MODIFIED`.
 *
 * @throws `ERR_INVALID_PLUGIN`
 */
export function remoteDriver(options: PluginOptions): RemoteDriver {
  const client = new PluginClient(options, { kind: 'NetworkDriver', errorField: 'Err' })
  const effects = new RemoteEffects(client)
  return {
    type: client.name,
    scope: 'local',
    needsGatewayNetwork: true,
    effects,
    activate: (call) => effects.activate(call),
    checkNetwork: ({ ipv4, ipv6, options: given }: CheckNetworkRequest) => ({
      plugin: client.name,
      families: [...(ipv4 ? [4 as const] : []), ...(ipv6 ? [6 as const] : [])],
      given,
    }),
    checkEndpoint: (network, { publishes, options: given }: CheckEndpointRequest) => {
      if (publishes) throw new PortsUnsupportedError(network.name, client.name)
      return { given }
    },
    readNetworkOptions,
    readEndpointOptions,
    readJoined,
    nameInterface,
    planNetwork: () => NOTHING,
    planEndpoint,
    planPorts: () => [],
    describe: (_network, { macAddress }) => (macAddress === '' ? {} : { [labels.macAddress]: macAddress }),
  }
}

/** What a network is on the host is its plugin's matter. */
const NOTHING: NetworkPlan = { links: [], sysctls: [], firewall: [] }

const DEFAULT_PREFIX = 'eth'

/** The name that the plugin chose, or its prefix with the lowest number that is free. */
function nameInterface(_network: NetworkRecord, endpoint: EndpointRecord, taken: readonly string[]): string {
  const { name, prefix = DEFAULT_PREFIX } = joinAnswerOf(endpoint.joined)?.interface ?? {}
  if (name !== undefined) {
    if (taken.includes(name))
      throw new PluginReplyError('NetworkDriver.Join', `DstName ${name} is taken in the sandbox`)
    return name
  }
  let number = 0
  while (taken.includes(`${prefix}${number}`)) number++
  return `${prefix}${number}`
}

/** The plugin's link, in the sandbox; nothing before the endpoint joined. */
function planEndpoint(network: NetworkRecord, endpoint: EndpointRecord): JoinPlan {
  const joined = joinAnswerOf(endpoint.joined)
  const link = joined?.interface
  const { macAddress, address, address6, linkLocalAddresses = [], routes = [] } = endpoint
  const name = endpoint.interfaceName ?? `${DEFAULT_PREFIX}0`
  return {
    sandbox: {
      links: [],
      ...(joined === undefined || link === undefined
        ? {}
        : {
            existing: [
              {
                hostName: link.hostName,
                name,
                macAddress: macAddress === '' ? undefined : macAddress,
                addresses: [address, address6, ...linkLocalAddresses].filter((one) => one !== undefined),
                routes: [...joined.routes, ...routes],
                sysctls: ipv6Sysctls(name, address6),
              },
            ],
          }),
      gateways: network.internal ? {} : { ipv4: joined?.gateway, ipv6: joined?.gateway6 },
      needsNoGateway: joined?.needsNoGateway === true ? true : undefined,
    },
    firewall: [],
    ports: [],
  }
}

/** Written when the link has its name there. A neighbour is no router whose advertisements are to be followed. */
function ipv6Sysctls(name: string, address6: string | undefined): Sysctl[] {
  const own = `net/ipv6/conf/${name}`
  if (address6 === undefined) return [{ path: `${own}/disable_ipv6`, value: '1', optional: true }]
  return [
    { path: `${own}/disable_ipv6`, value: '0' },
    { path: `${own}/accept_ra`, value: '0' },
  ]
}
