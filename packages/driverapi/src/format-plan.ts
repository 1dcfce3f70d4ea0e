import { formatPorts } from '@net/types'
import type { FirewallFact, NetworkFact } from './firewall.ts'
import type { ExistingLink, JoinPlan, NetworkPlan, PlannedRoute, SandboxLink, Sysctl } from './plan.ts'

/** A network's plan as a text that a network engineer can read, one wish a line. */
export function formatNetworkPlan(plan: NetworkPlan): string {
  return [
    ...plan.links.flatMap((link) => [
      link.kind === 'existing-bridge'
        ? `link set ${link.name} up`
        : `link add ${link.name} type ${link.kind} address ${link.macAddress}${mtu(link.mtu)} up`,
      ...link.addresses.map((address) => `addr add ${address} dev ${link.name}`),
    ]),
    ...(plan.forwarding ?? []).map((family) => `forward IPv${family}`),
    ...plan.sysctls.map(formatSysctl),
    ...(plan.restore ?? []).map((sysctl) => `in the end: ${formatSysctl(sysctl)}`),
    ...plan.firewall.map(formatFact),
  ].join('\n')
}

/** A join's plan as a text that a network engineer can read, one wish a line. */
export function formatJoinPlan(plan: JoinPlan): string {
  const { links, existing = [], gateways } = plan.sandbox
  return [
    ...links.flatMap(formatSandboxLink),
    ...existing.flatMap(formatExistingLink),
    ...[gateways.ipv4, gateways.ipv6]
      .filter((gateway) => gateway !== undefined)
      .map((gateway) => `sandbox: route add default via ${gateway}`),
    ...plan.firewall.map(formatFact),
  ].join('\n')
}

/** One fact of the packet rules, in a line. */
export function formatFact(fact: FirewallFact): string {
  if (fact.kind === 'forwarding') return `firewall: IPv${fact.family} between networks and others only`
  if (fact.kind === 'port') {
    const host = fact.hostAddress === undefined ? '*' : bracketed(fact.hostAddress)
    const { protocol, hostPort, containerAddress, containerPort, count } = fact
    const container = `${bracketed(containerAddress)}:${formatPorts(containerPort, count)}`
    return `firewall: ${protocol} ${host}:${formatPorts(hostPort, count)} to ${container}`
  }
  if (fact.kind === 'open-port') {
    return `firewall: open ${fact.protocol} ${bracketed(fact.address)}:${formatPorts(fact.port, fact.count)}`
  }
  if (fact.kind === 'link') {
    return `firewall: link ${bracketed(fact.from)} to ${fact.protocol} ${bracketed(fact.to)}:${fact.port}`
  }
  return formatNetworkFact(fact)
}

function formatNetworkFact(fact: NetworkFact): string {
  const { inbound = {}, sources = {}, trusted = [] } = fact
  const traits = [
    fact.internal ? 'internal' : '',
    fact.interContainer ? '' : 'no inter-container traffic',
    fact.masquerade.length > 0 ? `masquerade IPv${fact.masquerade.join(' and IPv')}` : '',
    ...(['ipv4', 'ipv6'] as const).flatMap((family) => [
      sources[family] === undefined ? '' : `from ${sources[family]}`,
      inbound[family] === undefined || inbound[family] === 'published'
        ? ''
        : `let in ${inbound[family]} of ${words[family]}`,
    ]),
    trusted.length > 0 ? `trust ${trusted.join(' and ')}` : '',
  ].filter((trait) => trait !== '')
  return `firewall: network ${fact.bridge}${traits.length > 0 ? `: ${traits.join(', ')}` : ''}`
}

const words = { ipv4: 'IPv4', ipv6: 'IPv6' } as const

function formatSandboxLink(link: SandboxLink): string[] {
  const { hostName, master, kind, isolated, filtered, hairpin } = link.create
  const port = `${isolated === true ? ' isolated' : ''}${filtered === true ? ' by rules' : ''}${hairpin === true ? ' hairpin' : ''}`
  return [
    `link add ${hostName} type ${kind} master ${master}${port} up peer ${link.name} netns sandbox address ${link.macAddress}${mtu(link.mtu)}`,
    ...link.sysctls.map((sysctl) => `sandbox: ${formatSysctl(sysctl)}`),
    ...link.addresses.map((address) => `sandbox: addr add ${address} dev ${link.name}`),
    ...link.routes.map((route) => formatRoute(link, route)),
    ...(link.announce === true ? [`sandbox: announce ${link.macAddress} on ${link.name}`] : []),
    ...link.neighbours.map(({ address, macAddress }) => {
      return `sandbox: neigh add ${address} lladdr ${macAddress} dev ${link.name}`
    }),
  ]
}

function formatExistingLink(link: ExistingLink): string[] {
  const { hostName, name, macAddress } = link
  return [
    `link set ${hostName} netns sandbox name ${name}${macAddress === undefined ? '' : ` address ${macAddress}`} up`,
    ...link.sysctls.map((sysctl) => `sandbox: ${formatSysctl(sysctl)}`),
    ...link.addresses.map((address) => `sandbox: addr add ${address} dev ${name}`),
    ...link.routes.map((route) => formatRoute(link, route)),
  ]
}

function formatRoute({ name }: { readonly name: string }, { destination, gateway }: PlannedRoute): string {
  return `sandbox: route add ${destination} ${gateway === undefined ? `dev ${name}` : `via ${gateway}`}`
}

function formatSysctl(sysctl: Sysctl): string {
  return `sysctl ${sysctl.path.replaceAll('/', '.')}=${sysctl.value}`
}

function mtu(value: number | undefined): string {
  return value === undefined ? '' : ` mtu ${value}`
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}
