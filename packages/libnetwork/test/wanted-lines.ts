import type { PublishedPort } from '@net/driverapi'
import type { Endpoint, Network } from '../src/index.ts'
import { plain } from './lab.ts'

/** What the host is to hold of a network: lines of `hostView`. */
export function linesOfNetwork(network: Network): string[] {
  const { ipv4, ipv6, internal } = network
  const bridge = bridgeOf(network)
  const gateways = [ipv4, ipv6].flatMap((subnet) => (subnet === undefined ? [] : ` ${subnet.gateway}`))
  return [
    `bridge ${bridge}${gateways.join('')} up`,
    `bridges ${bridge}`,
    ...(internal ? [`from_network ${bridge} drop`] : []),
    ...(internal || ipv4 === undefined ? [] : [`masquerade4 ${bridge}`]),
    ...(internal || ipv6 === undefined ? [] : [`masquerade6 ${bridge}`]),
  ]
}

/** An endpoint in the sandbox at `key`, and what it is to publish. */
export interface Place {
  readonly key: string
  readonly network: Network
  readonly endpoint: Endpoint
  readonly ports: Iterable<PublishedPort>
}

/** What the host is to hold of an endpoint in its sandbox: lines of `hostView`. */
export function linesOfPlace({ key, network, endpoint, ports }: Place): string[] {
  const { interfaceName, macAddress, address, address6 } = endpoint
  const addresses = [address, address6].filter((one) => one !== undefined)
  return [
    `port of ${bridgeOf(network)} up`,
    [key, interfaceName, macAddress, ...addresses].join(' '),
    ...[...ports].flatMap((port) => addresses.flatMap((own) => ruleOf(port, plain(own)))),
    ...heldLines(ports),
  ]
}

/** The host's ports that a controller is to keep from others. */
export function heldLines(ports: Iterable<PublishedPort>): string[] {
  return [...ports].flatMap(({ protocol, hostPort, count = 1 }) =>
    Array.from({ length: count }, (_, at) => `held ${protocol} ${hostPort + at}`),
  )
}

function ruleOf({ protocol, hostAddress, hostPort, containerPort, count = 1 }: PublishedPort, own: string): string[] {
  const family = familyOf(own)
  if (hostAddress !== undefined) {
    const rule = `ports${family}_by_address ${hostAddress} ${protocol} ${hostPort} ${own} ${containerPort}`
    return familyOf(hostAddress) === family ? [rule] : []
  }
  if (count === 1) return [`ports${family} ${protocol} ${hostPort} ${own} ${containerPort}`]
  const map = hostPort === containerPort ? 'ranges' : 'shifted'
  return [`${map}${family} every ${protocol} ${hostPort}-${hostPort + count - 1} ${own}`]
}

function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4
}

function bridgeOf({ options }: Network): string {
  return (options as { bridge: string }).bridge
}
