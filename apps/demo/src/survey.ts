import type { Network } from '@net/libnetwork'
import { inNamespaceAt, RouteSocket } from '@net/netlink-ffi'
import type { Published } from './acts.ts'
import type { Cast, Container } from './cast.ts'
import { addressesOf } from './outside.ts'
import type { Segment, Station, Topology } from './topology.ts'

/** Reads off the kernel what the picture shows. */
export function survey(cast: Cast, published: Published): Topology {
  const { container1, container2, container3, container4, outside } = cast
  using routes = RouteSocket.open()
  const names = new Map(routes.listLinks().map(({ index, name }) => [index, name]))
  const segment = (network: Network, ...containers: readonly Container[]): Segment => ({
    name: network.internal ? `${network.name}, internal` : network.name,
    lines: [bridgeOf(network), network.ipv4?.gateway ?? '', network.ipv6?.gateway ?? ''],
    stations: containers.map((container) => stationOf(container, names)),
  })
  return {
    hostLines: [outside.host.interfaceName, ...addressesOf(outside.host)],
    outside: {
      name: 'outside',
      interfaceName: outside.client.interfaceName,
      hostInterfaceName: outside.host.interfaceName,
      addresses: addressesOf(outside.client),
    },
    segments: [
      segment(container1.network, container1, container2),
      segment(container3.network, container3),
      segment(container4.network, container4),
    ],
    published: [`tcp ${published.web} → container1:80`, `udp ${published.echo} → container1:7`],
  }
}

function stationOf({ name, endpoint, sandbox }: Container, namesOnHost: ReadonlyMap<number, string>): Station {
  using inside = inNamespaceAt(sandbox.key, () => RouteSocket.open())
  const { peerIndex, name: interfaceName } = inside.getLink(endpoint.interfaceName ?? '')
  return {
    name,
    interfaceName,
    hostInterfaceName: namesOnHost.get(peerIndex ?? 0) ?? '',
    addresses: [endpoint.address, endpoint.address6].filter((address) => address !== undefined),
  }
}

/** What the driver remembers of a network is its own; of a bridge, there is its name. */
function bridgeOf({ options }: Network): string {
  const bridge = typeof options === 'object' && options !== null && 'bridge' in options ? options.bridge : undefined
  return typeof bridge === 'string' ? bridge : ''
}
