import { NETWORK_LINK_GROUP } from '@net/driverapi'
import type { AddressFamily } from '@net/types'
import { InvalidFactError } from '../errors.ts'
import type { CheckedFact, CheckedLink, CheckedNetwork, CheckedOpenPort, CheckedPort } from '../fact.ts'
import { chainNames, type ChainNames } from './chains.ts'

/** The rules of a family: by table and chain, each as `iptables` writes what follows the chain's name. */
export type RuleSet = Readonly<Record<TableName, ReadonlyMap<string, readonly string[]>>>

/** A table of iptables. */
export type TableName = 'raw' | 'nat' | 'filter'

const families = { 4: 'ipv4', 6: 'ipv6' } as const
const PUBLISHED = '-m conntrack --ctstate DNAT'
const GROUP = `0x${NETWORK_LINK_GROUP.toString(16)}`

/**
 * All rules that the facts come to, in one family. They say what the nftables table says, in its order: see the picture
 * of the packet's way.
 *
 * @throws InvalidFactError (`ERR_INVALID_FACT`) for a network that is masqueraded and does not say what its prefix is
 */
export function rulesOf(facts: readonly CheckedFact[], family: AddressFamily, prefix: string): RuleSet {
  const names = chainNames(prefix)
  const networks = facts.filter((fact) => fact.kind === 'network')
  const ports = facts.filter((fact) => fact.kind === 'port').filter((port) => port.family === family)
  const open = facts.filter((fact) => fact.kind === 'open-port').filter((port) => port.family === family)
  const links = facts.filter((fact) => fact.kind === 'link').filter((link) => link.family === family)
  const isForNetworksOnly = facts.some((fact) => fact.kind === 'forwarding' && fact.family === family)
  return {
    raw: new Map([[names.raw, family === 4 ? networks.flatMap(forgedLoopback) : []]]),
    nat: new Map([
      [names.prerouting, [...(family === 4 ? ['-d 127.0.0.0/8 -j RETURN'] : []), toHost(names)]],
      [names.output, [...(family === 6 ? ['-d ::1/128 -j RETURN'] : []), toHost(names)]],
      [names.ports, portRules(ports, family)],
      [
        names.postrouting,
        [...networks.flatMap((it) => hairpin(it, family)), ...networks.flatMap((it) => source(it, family))],
      ],
    ]),
    filter: new Map([
      [names.forward, forwardRules(networks, family, names, isForNetworksOnly)],
      [names.inbound, inboundRules(networks, names)],
      [names.routed, [`-p ${family === 4 ? 'icmp' : 'icmpv6'} -j ACCEPT`, `-j ${names.open}`, `-g ${names.inbound}`]],
      [names.unprotected, unprotectedRules(networks)],
      [names.open, open.map(openRule)],
      [names.apart, [...links.map(linkRule), ...neighbours(family), `-g ${names.inbound}`]],
    ]),
  }
}

/** With route_localnet set on bridges the kernel would take these from a container. */
function forgedLoopback({ bridge }: CheckedNetwork): string[] {
  return ['-d', '-s'].map((end) => `-i ${bridge} ${end} 127.0.0.0/8 -j DROP`)
}

function toHost({ ports }: ChainNames): string {
  return `-m addrtype --dst-type LOCAL -j ${ports}`
}

/** Those of one address come before those of all. */
function portRules(ports: readonly CheckedPort[], family: AddressFamily): string[] {
  const specific = ports.filter(({ hostAddress }) => hostAddress !== undefined)
  const general = ports.filter(({ hostAddress }) => hostAddress === undefined)
  // A link-local sender cannot be answered from another link.
  return [...(family === 6 ? ['-s fe80::/10 -j RETURN'] : []), ...[...specific, ...general].map(portRule)]
}

function portRule(port: CheckedPort): string {
  const { hostAddress, hostPort, protocol, count } = port
  const to = hostAddress === undefined ? '' : `-d ${hostAddress} `
  return `${to}-p ${protocol} --dport ${range(hostPort, count, ':')} -j DNAT --to-destination ${target(port)}`
}

function target({ family, containerAddress, containerPort, hostPort, count }: CheckedPort): string {
  const address = family === 4 ? containerAddress : `[${containerAddress}]`
  if (count === 1) return `${address}:${containerPort}`
  // Each to the same port of the container, or to as many others, counted from the first one of the host.
  if (containerPort === hostPort) return containerAddress
  return `${address}:${range(containerPort, count, '-')}/${hostPort}`
}

function range(first: number, count: number, separator: string): string {
  return count === 1 ? String(first) : `${first}${separator}${first + count - 1}`
}

/** What comes back to its network, or from the host: an answer that went straight to the sender would not be taken for one. */
function hairpin(network: CheckedNetwork, family: AddressFamily): string[] {
  const { bridge } = network
  const prefix = network.prefixes[families[family]]
  return [
    ...(prefix === undefined ? [] : [`-s ${prefix} -o ${bridge} ${PUBLISHED} -j MASQUERADE`]),
    `-o ${bridge} -m addrtype --src-type LOCAL ${PUBLISHED} -j MASQUERADE`,
  ]
}

/** What leaves the network. Which interface it came in by is not known any more there: its prefix is. */
function source({ bridge, masquerade, prefixes, sources }: CheckedNetwork, family: AddressFamily): string[] {
  if (!masquerade.includes(family)) return []
  const prefix = prefixes[families[family]]
  if (prefix === undefined) throw new InvalidFactError('prefixes', '', `the IPv${family} prefix of network ${bridge}`)
  const address = sources[families[family]]
  return [`-s ${prefix} ! -o ${bridge} -j ${address === undefined ? 'MASQUERADE' : `SNAT --to-source ${address}`}`]
}

function forwardRules(
  networks: readonly CheckedNetwork[],
  family: AddressFamily,
  names: ChainNames,
  isForNetworksOnly: boolean,
): string[] {
  return [
    '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ...networks.map((network) => `-i ${network.bridge} -o ${network.bridge} ${intra(network, names)}`),
    ...networks.filter(({ internal }) => internal).map(({ bridge }) => `-i ${bridge} -j DROP`),
    ...networks.map((network) => `-o ${network.bridge} ${toNetwork(network, family, names)}`),
    ...networks.map(({ bridge }) => `-i ${bridge} -j ACCEPT`),
    // The networks of other controllers.
    `-m devgroup --src-group ${GROUP} -j ACCEPT`,
    `-m devgroup --dst-group ${GROUP} -j ACCEPT`,
    ...(isForNetworksOnly ? ['-j DROP'] : []),
  ]
}

function intra({ interContainer, internal }: CheckedNetwork, { apart }: ChainNames): string {
  if (interContainer) return '-j ACCEPT'
  return internal ? '-j DROP' : `-g ${apart}`
}

function toNetwork({ internal, inbound }: CheckedNetwork, family: AddressFamily, names: ChainNames): string {
  if (internal) return '-j DROP'
  const chains = { published: names.inbound, routed: names.routed, all: names.unprotected } as const
  return `-g ${chains[inbound[families[family]]]}`
}

function inboundRules(networks: readonly CheckedNetwork[], { open }: ChainNames): string[] {
  const trusted = networks.flatMap(({ bridge, trusted: names }) =>
    names.map((name) => `-i ${name} -o ${bridge} -j ${open}`),
  )
  return [`${PUBLISHED} -j ACCEPT`, ...trusted, '-j DROP']
}

function unprotectedRules(networks: readonly CheckedNetwork[]): string[] {
  return [
    `${PUBLISHED} -j ACCEPT`,
    ...networks.map(({ bridge }) => `-i ${bridge} -j DROP`),
    `-m devgroup --src-group ${GROUP} -j DROP`,
    '-j ACCEPT',
  ]
}

function linkRule({ from, to, protocol, port }: CheckedLink): string {
  return `-s ${from} -d ${to} -p ${protocol} --dport ${port} -j ACCEPT`
}

/** As ARP, which no rule hears of, does for IPv4. */
function neighbours(family: AddressFamily): string[] {
  if (family === 4) return []
  return ['solicitation', 'advertisement'].map((type) => `-p icmpv6 --icmpv6-type neighbour-${type} -j ACCEPT`)
}

function openRule({ address, protocol, port, count }: CheckedOpenPort): string {
  return `-d ${address} -p ${protocol} --dport ${range(port, count, ':')} -j ACCEPT`
}
