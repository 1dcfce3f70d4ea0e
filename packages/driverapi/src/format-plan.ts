import type { FirewallFact } from './firewall.ts'
import type { JoinPlan, NetworkPlan, SandboxLink, Sysctl } from './plan.ts'

/** A network's plan as a text that a network engineer can read, one wish a line. */
export function formatNetworkPlan(plan: NetworkPlan): string {
  return [
    ...plan.links.flatMap((link) => [
      `link add ${link.name} type ${link.kind} address ${link.macAddress}${mtu(link.mtu)} up`,
      ...link.addresses.map((address) => `addr add ${address} dev ${link.name}`),
    ]),
    ...(plan.forwarding ?? []).map((family) => `forward IPv${family}`),
    ...plan.sysctls.map(formatSysctl),
    ...plan.firewall.map(formatFact),
  ].join('\n')
}

/** A join's plan as a text that a network engineer can read, one wish a line. */
export function formatJoinPlan(plan: JoinPlan): string {
  const { links, gateways } = plan.sandbox
  return [
    ...links.flatMap(formatSandboxLink),
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
    return `firewall: ${fact.protocol} ${host}:${fact.hostPort} to ${bracketed(fact.containerAddress)}:${fact.containerPort}`
  }
  const traits = [
    fact.internal ? 'internal' : '',
    fact.interContainer ? '' : 'no inter-container traffic',
    fact.masquerade.length > 0 ? `masquerade IPv${fact.masquerade.join(' and IPv')}` : '',
  ].filter((trait) => trait !== '')
  return `firewall: network ${fact.bridge}${traits.length > 0 ? `: ${traits.join(', ')}` : ''}`
}

function formatSandboxLink(link: SandboxLink): string[] {
  const { hostName, master, kind } = link.create
  return [
    `link add ${hostName} type ${kind} master ${master} up peer ${link.name} netns sandbox address ${link.macAddress}${mtu(link.mtu)}`,
    ...link.sysctls.map((sysctl) => `sandbox: ${formatSysctl(sysctl)}`),
    ...link.addresses.map((address) => `sandbox: addr add ${address} dev ${link.name}`),
    ...link.routes.map(({ destination, gateway }) => {
      return `sandbox: route add ${destination} ${gateway === undefined ? `dev ${link.name}` : `via ${gateway}`}`
    }),
    ...link.neighbours.map(({ address, macAddress }) => {
      return `sandbox: neigh add ${address} lladdr ${macAddress} dev ${link.name}`
    }),
  ]
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
