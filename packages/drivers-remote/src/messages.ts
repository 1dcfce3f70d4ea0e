import type { EndpointRecord, NetworkPools, NetworkRecord, Subnet } from '@net/driverapi'
import { labels, parseAddress, protocolNumbers } from '@net/types'
import type { RemoteEndpointOptions, RemoteOptions } from './options.ts'

/** What the user gave is below this key; beside it is what the controller says. */
const GENERIC = 'com.docker.network.generic'
const ENABLE_IPV6 = 'com.docker.network.enable_ipv6'
const INTERNAL = 'com.docker.network.internal'

/** Which endpoint a message is about. */
export function idsOf(network: NetworkRecord, endpoint: EndpointRecord): { NetworkID: string; EndpointID: string } {
  return { NetworkID: network.id, EndpointID: endpoint.id }
}

/** What `CreateNetwork` says. */
export function networkMessage(network: NetworkRecord, pools: NetworkPools): object {
  const { given, families = [] } = network.options as RemoteOptions
  const hasIpv6 = network.ipv6 !== undefined || families.includes(6)
  return {
    NetworkID: network.id,
    Options: {
      [ENABLE_IPV6]: hasIpv6,
      ...(network.internal ? { [INTERNAL]: true } : {}),
      [GENERIC]: given,
    },
    IPv4Data: network.ipv4 !== undefined || families.includes(4) ? [ipamData(network.ipv4, pools, 4)] : [],
    IPv6Data: hasIpv6 ? [ipamData(network.ipv6, pools, 6)] : [],
  }
}

/** What the subnet is of whoever sees to the addresses. */
const ANY = { 4: '0.0.0.0/0', 6: '::/0' } as const

/** libnetwork: driverapi.IPAMData. */
function ipamData(subnet: Subnet | undefined, { addressSpace, auxAddresses }: NetworkPools, family: 4 | 6): object {
  if (subnet === undefined) return { AddressSpace: addressSpace, Pool: ANY[family] }
  const { pool, gateway } = subnet
  const length = pool.slice(pool.indexOf('/'))
  const reserved = Object.entries(auxAddresses).filter(([, address]) => parseAddress(address).family === family)
  return {
    AddressSpace: addressSpace,
    Pool: pool,
    Gateway: gateway,
    ...(reserved.length === 0
      ? {}
      : { AuxAddresses: Object.fromEntries(reserved.map(([name, address]) => [name, address + length])) }),
  }
}

/** What `CreateEndpoint` says. What the endpoint does not have yet is empty. */
export function endpointMessage(network: NetworkRecord, endpoint: EndpointRecord): object {
  return {
    ...idsOf(network, endpoint),
    Interface: {
      Address: endpoint.address ?? '',
      AddressIPv6: endpoint.address6 ?? '',
      MacAddress: endpoint.macAddress,
    },
    Options: {
      ...(endpoint.options as RemoteEndpointOptions).given,
      [labels.exposedPorts]: endpoint.exposed.map(({ protocol, port }) => ({
        Proto: protocolNumbers[protocol],
        Port: port,
      })),
      [labels.portMap]: [],
    },
  }
}
