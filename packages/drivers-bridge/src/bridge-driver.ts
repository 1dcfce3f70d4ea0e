import type {
  CheckEndpointRequest,
  CheckNetworkRequest,
  EndpointRecord,
  NetworkDriver,
  NetworkRecord,
} from '@net/driverapi'
import { labels, protocolNumbers } from '@net/types'
import { BridgeInUseError, InterfaceNameTakenError, InternalNetworkError } from './errors.ts'
import { parseEndpointOptions, parseNetworkOptions, type BridgeEndpointOptions, type BridgeOptions } from './labels.ts'
import { planEndpoint, planPorts } from './plan-endpoint.ts'
import { planNetwork } from './plan-network.ts'

/** The driver of networks that are a bridge on this host. */
export function bridgeDriver(): NetworkDriver<BridgeOptions, BridgeEndpointOptions> {
  return {
    type: 'bridge',
    scope: 'local',
    checkNetwork,
    checkEndpoint,
    nameInterface,
    planNetwork,
    planEndpoint,
    planPorts,
    describe,
  }
}

function checkNetwork(request: CheckNetworkRequest): BridgeOptions {
  const options = parseNetworkOptions(request)
  const holder = request.existing.find((network) => (network.options as BridgeOptions).bridge === options.bridge)
  if (holder !== undefined) throw new BridgeInUseError(options.bridge, holder.name)
  return options
}

function checkEndpoint(network: NetworkRecord<BridgeOptions>, request: CheckEndpointRequest): BridgeEndpointOptions {
  if (network.internal && request.publishes) throw new InternalNetworkError(network.name)
  return parseEndpointOptions(request.options)
}

/** The name asked for, or the prefix with the lowest number that is free. */
function nameInterface(
  network: NetworkRecord<BridgeOptions>,
  endpoint: EndpointRecord<BridgeEndpointOptions>,
  taken: readonly string[],
): string {
  const { interfaceName } = endpoint.options
  if (interfaceName !== undefined) {
    if (taken.includes(interfaceName)) throw new InterfaceNameTakenError(interfaceName)
    return interfaceName
  }
  let number = 0
  while (taken.includes(`${network.options.interfacePrefix}${number}`)) number++
  return `${network.options.interfacePrefix}${number}`
}

/** Under the names, and with the members, of libnetwork's. A key is there only where there is something to say. */
function describe(
  _network: NetworkRecord<BridgeOptions>,
  endpoint: EndpointRecord<BridgeEndpointOptions>,
): Readonly<Record<string, unknown>> {
  const { macAddress, exposed, ports } = endpoint
  return {
    [labels.macAddress]: macAddress,
    ...(exposed.length === 0
      ? {}
      : {
          [labels.exposedPorts]: exposed.map(({ protocol, port }) => ({
            Proto: protocolNumbers[protocol],
            Port: port,
          })),
        }),
    ...(ports.length === 0 ? {} : { [labels.portMap]: planPorts(_network, endpoint, ports).map(portBinding) }),
  }
}

function portBinding(fact: ReturnType<typeof planPorts>[number]): Record<string, unknown> {
  const any = fact.containerAddress.includes(':') ? '::' : '0.0.0.0'
  return {
    Proto: protocolNumbers[fact.protocol],
    IP: fact.containerAddress,
    Port: fact.containerPort,
    HostIP: fact.hostAddress ?? any,
    HostPort: fact.hostPort,
    HostPortEnd: fact.hostPort,
  }
}
