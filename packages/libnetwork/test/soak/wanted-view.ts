import type { PublishedPort } from '@net/driverapi'
import type { HeldNetwork, HeldPlace, Workload } from './workload.ts'
import { plain } from '../lab.ts'

/** What the host is to hold, by what the workload was told: the lines of `hostView`. */
export function wantedView({ networks, containers }: Workload): string[] {
  return [
    ...[...networks].flatMap(linesOfNetwork),
    ...[...containers].flatMap(({ sandbox, places }) => [
      `namespace ${sandbox.key}`,
      ...[...places].flatMap((place) => linesOfPlace(sandbox.key, place)),
    ]),
  ].sort()
}

function linesOfNetwork({ network }: HeldNetwork): string[] {
  const { ipv4, ipv6, internal } = network
  const bridge = bridgeOf(network)
  const gateways = [ipv4, ipv6].flatMap((subnet) => (subnet === undefined ? [] : ` ${subnet.gateway}`))
  return [
    `bridge ${bridge}${gateways.join('')} up`,
    `bridges ${bridge}`,
    ...(internal ? [`from_network ${bridge} drop`] : [`masquerade4 ${bridge}`]),
    ...(internal || ipv6 === undefined ? [] : [`masquerade6 ${bridge}`]),
  ]
}

function linesOfPlace(key: string, { on, endpoint, ports }: HeldPlace): string[] {
  const { interfaceName, macAddress, address, address6 } = endpoint
  const addresses = [address, address6].filter((one) => one !== undefined)
  return [
    `port of ${bridgeOf(on.network)} up`,
    [key, interfaceName, macAddress, ...addresses].join(' '),
    ...[...ports].flatMap((port) => addresses.map((own) => ruleOf(port, plain(own)))),
    ...[...ports].filter(({ protocol }) => protocol === 'udp').flatMap(heldLines),
  ]
}

function ruleOf({ protocol, hostPort, containerPort, count = 1 }: PublishedPort, own: string): string {
  const family = own.includes(':') ? 6 : 4
  if (count === 1) return `ports${family} ${protocol} ${hostPort} ${own} ${containerPort}`
  const map = hostPort === containerPort ? 'ranges' : 'shifted'
  return `${map}${family} every ${protocol} ${hostPort}-${hostPort + count - 1} ${own}`
}

function heldLines({ hostPort, count = 1 }: PublishedPort): string[] {
  return Array.from({ length: count }, (_, at) => `held udp ${hostPort + at}`)
}

function bridgeOf({ options }: HeldNetwork['network']): string {
  return (options as { bridge: string }).bridge
}
