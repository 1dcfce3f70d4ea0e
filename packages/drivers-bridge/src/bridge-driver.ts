import type {
  CheckEndpointRequest,
  CheckNetworkRequest,
  EndpointRecord,
  NetworkDriver,
  NetworkRecord,
  PortFact,
} from '@net/driverapi'
import { labels, protocolNumbers } from '@net/types'
import { BridgeInUseError, InterfaceNameTakenError, InternalNetworkError } from './errors.ts'
import { checkSubnets, findExistingBridge } from './existing-bridge.ts'
import type { BridgeEndpointOptions, BridgeOptions } from './options.ts'
import { parseEndpointOptions, parseNetworkOptions } from './parse-options.ts'
import { isWithoutIpv6, planEndpoint } from './plan-endpoint.ts'
import { planNetwork } from './plan-network.ts'
import { planPorts } from './plan-ports.ts'
import { readEndpointOptions, readNetworkOptions } from './stored-options.ts'

/** The driver of networks that are a bridge on this host. */
export function bridgeDriver(): NetworkDriver<BridgeOptions, BridgeEndpointOptions> {
  return {
    type: 'bridge',
    scope: 'local',
    checkNetwork,
    checkSubnets,
    checkEndpoint,
    readNetworkOptions,
    readEndpointOptions,
    isWithoutIpv6,
    nameInterface,
    planNetwork,
    planEndpoint,
    hostAddressOf: ({ options }) => options.hostBinding,
    planPorts,
    describe,
  }
}

function checkNetwork(request: CheckNetworkRequest): BridgeOptions {
  const options = parseNetworkOptions(request)
  const holder = request.existing.find((network) => (network.options as BridgeOptions).bridge === options.bridge)
  if (holder !== undefined) throw new BridgeInUseError(options.bridge, holder.name)
  return { ...options, existing: findExistingBridge(options, request) }
}

function checkEndpoint(network: NetworkRecord<BridgeOptions>, request: CheckEndpointRequest): BridgeEndpointOptions {
  if (network.internal && request.publishes) throw new InternalNetworkError(network.name)
  return parseEndpointOptions(network, request)
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
  network: NetworkRecord<BridgeOptions>,
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
    ...(ports.length === 0 ? {} : { [labels.portMap]: portMap(network, endpoint) }),
  }
}

/** Ports of the host that lead to the endpoint: none where it is asked at its own address. */
function portMap(
  network: NetworkRecord<BridgeOptions>,
  endpoint: EndpointRecord<BridgeEndpointOptions>,
): Record<string, unknown>[] {
  return planPorts(network, endpoint, endpoint.ports)
    .filter((fact) => fact.kind === 'port')
    .map(portBinding)
}

function portBinding(fact: PortFact): Record<string, unknown> {
  const any = fact.containerAddress.includes(':') ? '::' : '0.0.0.0'
  return {
    Proto: protocolNumbers[fact.protocol],
    IP: fact.containerAddress,
    Port: fact.containerPort,
    HostIP: fact.hostAddress ?? any,
    HostPort: fact.hostPort,
    HostPortEnd: fact.hostPort + (fact.count ?? 1) - 1,
  }
}
