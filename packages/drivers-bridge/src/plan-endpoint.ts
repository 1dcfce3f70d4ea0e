import type {
  EndpointRecord,
  JoinPlan,
  NetworkRecord,
  PortFact,
  PublishedPort,
  SandboxLink,
  Subnet,
} from '@net/driverapi'
import type { BridgeEndpointOptions, BridgeOptions } from './labels.ts'

/** The veth that ties an endpoint to its bridge, with its far end born in the sandbox. */
export function planEndpoint(
  network: NetworkRecord<BridgeOptions>,
  endpoint: EndpointRecord<BridgeEndpointOptions>,
): JoinPlan {
  const name = endpoint.interfaceName ?? `${network.options.interfacePrefix}0`
  const link: SandboxLink = {
    create: { kind: 'veth', hostName: hostInterfaceName(endpoint.id), master: network.options.bridge },
    name,
    macAddress: endpoint.macAddress,
    mtu: network.options.mtu,
    addresses: [endpoint.address, endpoint.address6].filter((address) => address !== undefined),
    routes: [],
    neighbours: [],
    sysctls:
      endpoint.address6 === undefined
        ? [{ path: `net/ipv6/conf/${name}/disable_ipv6`, value: '1', optional: true }]
        : [
            { path: `net/ipv6/conf/${name}/disable_ipv6`, value: '0' },
            // A neighbour on the bridge is no router: its advertisements would redirect our traffic.
            { path: `net/ipv6/conf/${name}/accept_ra`, value: '0' },
          ],
  }
  return {
    sandbox: { links: [link], gateways: gatewaysOf(network) },
    firewall: planPorts(network, endpoint, endpoint.ports),
    ports: endpoint.ports,
  }
}

/** What publishing `ports` tells the packet rules: each for every family that both ends have. */
export function planPorts(
  _network: NetworkRecord<BridgeOptions>,
  endpoint: EndpointRecord<BridgeEndpointOptions>,
  ports: readonly PublishedPort[],
): PortFact[] {
  const containerAddresses = [endpoint.address, endpoint.address6]
    .filter((address) => address !== undefined)
    .map(withoutPrefixLength)
  return ports.flatMap(({ protocol, hostAddress, hostPort, containerPort }) =>
    containerAddresses
      .filter((address) => hostAddress === undefined || isIpv6(hostAddress) === isIpv6(address))
      .map(
        (containerAddress) =>
          ({ kind: 'port', protocol, hostAddress, hostPort, containerAddress, containerPort }) as const,
      ),
  )
}

/** Name of the veth's host end: as many digits of the endpoint's id as an interface name has room for. */
function hostInterfaceName(endpointId: string): string {
  return `veth${endpointId.slice(0, 11)}`
}

function gatewaysOf({ internal, ipv4, ipv6 }: NetworkRecord): JoinPlan['sandbox']['gateways'] {
  const nextHop = (subnet: Subnet | undefined): string | undefined =>
    internal || subnet === undefined ? undefined : withoutPrefixLength(subnet.gateway)
  return { ipv4: nextHop(ipv4), ipv6: nextHop(ipv6) }
}

function withoutPrefixLength(cidr: string): string {
  return cidr.slice(0, cidr.indexOf('/'))
}

function isIpv6(address: string): boolean {
  return address.includes(':')
}
