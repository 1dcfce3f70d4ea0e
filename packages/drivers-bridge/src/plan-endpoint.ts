import {
  PORT_LINK_GROUP,
  type EndpointRecord,
  type JoinPlan,
  type NetworkRecord,
  type SandboxLink,
  type Subnet,
  type Sysctl,
} from '@net/driverapi'
import { formatAddress, linkLocalAddressOf, macAddressOf, parseAddress, withoutPrefixLength } from '@net/types'
import { planLinks } from './links.ts'
import { INTERFACE_PLACEHOLDER, type BridgeEndpointOptions, type BridgeOptions } from './options.ts'
import { isIpv6, planPorts } from './plan-ports.ts'

/** The veth that ties an endpoint to its bridge, with its far end born in the sandbox. */
export function planEndpoint(
  network: NetworkRecord<BridgeOptions>,
  endpoint: EndpointRecord<BridgeEndpointOptions>,
): JoinPlan {
  const name = endpoint.interfaceName ?? `${network.options.interfacePrefix}0`
  const own = sysctlsOf(endpoint, name)
  const address6 = isWithoutIpv6(endpoint.options) ? undefined : endpoint.address6
  const linkLocal = (endpoint.linkLocalAddresses ?? []).filter((cidr) => address6 !== undefined || !isIpv6(cidr))
  const link: SandboxLink = {
    create: {
      kind: 'veth',
      hostName: hostInterfaceName(endpoint.id),
      master: network.options.bridge,
      isolated: network.options.interContainer ? undefined : true,
      filtered: mayBeLinked(network) ? true : undefined,
      hairpin: true,
      group: network.options.existing === undefined ? PORT_LINK_GROUP : undefined,
    },
    name,
    macAddress: endpoint.macAddress,
    mtu: network.options.mtu,
    addresses: [endpoint.address, address6, ...linkLocal].filter((address) => address !== undefined),
    linkLocalAddress: address6 === undefined || own.some(choosesLinkLocal) ? undefined : linkLocalOf(endpoint),
    routes: (endpoint.routes ?? []).filter(({ destination }) => address6 !== undefined || !isIpv6(destination)),
    neighbours: [],
    // The user's come last: they have the last word.
    sysctls: [...ipv6Sysctls(network, name, endpoint.address6), ...own],
    announce: isWorthAnnouncing(endpoint) ? true : undefined,
  }
  const gateways = gatewaysOf(network)
  return {
    sandbox: { links: [link], gateways: address6 === undefined ? { ipv4: gateways.ipv4 } : gateways },
    firewall: [...planPorts(network, endpoint, endpoint.ports), ...planLinks(network, endpoint)],
    ports: endpoint.ports,
  }
}

/** An isolated port cannot make exceptions, and which containers are linked shows only later. */
function mayBeLinked({ options }: NetworkRecord<BridgeOptions>): boolean {
  return options.isDefault && !options.interContainer
}

/** The longest that the kernel takes, in milliseconds. */
const NEVER = '2000000000'

function ipv6Sysctls({ options }: NetworkRecord<BridgeOptions>, name: string, address6: string | undefined): Sysctl[] {
  const own = `net/ipv6/conf/${name}`
  if (address6 === undefined) return [{ path: `${own}/disable_ipv6`, value: '1', optional: true }]
  return [
    { path: `${own}/disable_ipv6`, value: '0' },
    // A neighbour on the bridge is no router: its advertisements would redirect our traffic.
    { path: `${own}/accept_ra`, value: '0' },
    // Nobody on a bridge of ours listens to what groups somebody joined. Where no rule keeps it from them (the iptables
    // back end has none), it is told all ports, and a second time.
    // Whoever asks (RFC 3810 section 5.1) is answered all the same.
    ...(options.existing === undefined ? [{ path: `${own}/mldv2_unsolicited_report_interval`, value: NEVER }] : []),
  ]
}

function sysctlsOf({ options }: EndpointRecord<BridgeEndpointOptions>, name: string): Sysctl[] {
  return (options.sysctls ?? []).map(({ path, value }) => {
    return { path: path.replace(`/${INTERFACE_PLACEHOLDER}/`, `/${name}/`), value }
  })
}

/** Whether the settings of an endpoint's interface put IPv6 off. */
export function isWithoutIpv6({ sysctls = [] }: BridgeEndpointOptions): boolean {
  return sysctls.some(disablesIpv6)
}

function disablesIpv6({ path, value }: Sysctl): boolean {
  return path.startsWith('net/ipv6/conf/') && path.endsWith('/disable_ipv6') && value !== '0'
}

/** Of the same MAC address there is no other on the network. */
function linkLocalOf({ macAddress }: EndpointRecord): string {
  return `${formatAddress(linkLocalAddressOf(macAddress))}/64`
}

/** How the kernel makes the address is a setting, too. */
function choosesLinkLocal({ path }: Sysctl): boolean {
  return path.endsWith('/addr_gen_mode') || path.endsWith('/stable_secret')
}

/**
 * Who had the IPv4 address before had, as a rule, the MAC address that is made from it, and neighbours that remember
 * that are right. They are wrong where the MAC address was given.
 */
function isWorthAnnouncing({ address, macAddress }: EndpointRecord): boolean {
  return address !== undefined && macAddress !== macAddressOf(parseAddress(withoutPrefixLength(address)))
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
