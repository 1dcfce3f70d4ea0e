import type { BridgeLink, ExistingBridge, FirewallReport, JoinPlan, SandboxLink, Sysctl } from '@net/driverapi'
import { gatewaysBy } from '../sandbox-routes.ts'
import type {
  HostLinkReport,
  HostReport,
  LinkReport,
  RouteReport,
  SandboxLinkReport,
  SandboxReport,
} from './host-report.ts'
import type { Wanted } from './read-host.ts'

/** Something that is not as plans have it. Plain JSON. */
export interface Difference {
  readonly what: 'missing' | 'unexpected' | 'different'
  /** The thing: `bridge br-0123456789ab`, `address 172.18.0.2/16 of eth0 in /run/net/…`. */
  readonly subject: string
  /** As it is to be, where it is different. */
  readonly expected?: string | undefined
  /** As it is. */
  readonly found?: string | undefined
}

/** Everything about a host that is not as it is wanted; nothing where all is well. Pure. */
export function compare(wanted: Wanted, host: HostReport): Difference[] {
  const links = new Map(host.links.map((link) => [link.name, link]))
  const sandboxes = new Map(host.sandboxes.map((sandbox) => [sandbox.key, sandbox]))
  return [
    ...wanted.networks.flatMap((plan) => plan.links.flatMap((link) => compareBridge(link, links, wanted.owner))),
    ...wanted.networks.flatMap((plan) => plan.sysctls.flatMap((sysctl) => compareSysctl(sysctl, host.sysctls))),
    ...wanted.joins.flatMap(({ plan }) =>
      plan.sandbox.links.flatMap((link) => comparePort(link, links.get(link.create.hostName), wanted.owner)),
    ),
    ...strangers(wanted, host.links),
    ...host.sandboxes.flatMap(({ key, inside }) => (inside === undefined ? [missing(`namespace ${key}`)] : [])),
    ...wanted.joins.flatMap(({ key, plan }) => compareInside(plan, sandboxes.get(key))),
    ...compareRules(host.firewall),
  ]
}

function compareBridge(
  link: BridgeLink | ExistingBridge,
  links: ReadonlyMap<string, HostLinkReport>,
  owner: string,
): Difference[] {
  const subject = `bridge ${link.name}`
  const found = links.get(link.name)
  if (found === undefined) return [missing(subject)]
  const addresses = compareAddresses(link.addresses, found, link.name)
  const up = different(`state of ${subject}`, 'up', stateOf(found))
  if (link.kind === 'existing-bridge') return [...up, ...addresses.filter(({ what }) => what === 'missing')]
  return [
    ...up,
    ...different(`owner of ${subject}`, owner, found.owner),
    ...different(`MAC address of ${subject}`, link.macAddress, found.macAddress),
    ...(link.mtu === undefined ? [] : different(`MTU of ${subject}`, String(link.mtu), String(found.mtu))),
    ...addresses,
  ]
}

function compareSysctl({ path, value }: Sysctl, found: HostReport['sysctls']): Difference[] {
  // A kernel without the setting, or a bridge that is missing, which is told.
  return found[path] === undefined ? [] : different(`setting ${path}`, value, found[path])
}

function comparePort({ create }: SandboxLink, found: HostLinkReport | undefined, owner: string): Difference[] {
  const subject = `interface ${create.hostName}`
  if (found === undefined) return [missing(subject)]
  return [
    ...different(`owner of ${subject}`, owner, found.owner),
    ...different(`bridge of ${subject}`, create.master, found.master),
    ...different(`state of ${subject}`, 'up', stateOf(found)),
  ]
}

/** Links that bear the controller's name and that no plan has. */
function strangers({ owner, networks, joins }: Wanted, links: readonly HostLinkReport[]): Difference[] {
  const named = new Set([
    ...networks.flatMap((plan) => plan.links.map(({ name }) => name)),
    ...joins.flatMap(({ plan }) => plan.sandbox.links.map(({ create }) => create.hostName)),
  ])
  return links
    .filter((link) => link.owner === owner && !named.has(link.name))
    .map(({ name }) => ({ what: 'unexpected', subject: `link ${name}` }))
}

/** What an endpoint has in its sandbox. What programs in there made besides is theirs. */
function compareInside({ sandbox }: JoinPlan, found: SandboxReport | undefined): Difference[] {
  const inside = found?.inside
  if (inside === undefined) return []
  const where = `in ${found?.key ?? ''}`
  const links = [...sandbox.links, ...(sandbox.existing ?? [])]
  const hops = links.flatMap(({ name }) => {
    const { ipv4, ipv6 } = gatewaysBy(name, sandbox)
    return [ipv4, ipv6].flatMap((hop) => (hop === undefined ? [] : [{ hop, name }]))
  })
  return [
    ...links.flatMap((link) => compareInterface(link, inside, where)),
    ...hops
      .filter((wanted) => !inside.routes.some((route) => isDefaultBy(route, wanted)))
      .map(({ hop }) => missing(`default route by ${hop} ${where}`)),
  ]
}

function isDefaultBy(
  { destination, gateway, link }: RouteReport,
  { hop, name }: { readonly hop: string; readonly name: string },
): boolean {
  return isDefault(destination) && gateway === hop && link === name
}

/** An interface of a sandbox, whoever made it. */
interface WantedInterface extends Pick<SandboxLink, 'name' | 'addresses' | 'routes'> {
  readonly macAddress?: string | undefined
  readonly mtu?: number | undefined
}

function compareInterface(
  link: WantedInterface,
  { links, routes }: Exclude<SandboxReport['inside'], undefined>,
  where: string,
): Difference[] {
  const subject = `interface ${link.name} ${where}`
  const found = links.find(({ name }) => name === link.name)
  if (found === undefined) return [missing(subject)]
  return [
    ...different(`state of ${subject}`, 'up', stateOf(found)),
    ...(link.macAddress === undefined ? [] : different(`MAC address of ${subject}`, link.macAddress, found.macAddress)),
    ...(link.mtu === undefined ? [] : different(`MTU of ${subject}`, String(link.mtu), String(found.mtu))),
    ...compareAddresses(link.addresses, found, `${link.name} ${where}`),
    ...link.routes
      .filter(
        ({ destination, gateway }) =>
          !routes.some((route) => route.destination === destination && route.gateway === gateway),
      )
      .map(({ destination }) => missing(`route to ${destination} by ${link.name} ${where}`)),
  ]
}

function compareAddresses(
  wanted: readonly string[],
  { addresses, linkLocal = [] }: SandboxLinkReport,
  of: string,
): Difference[] {
  return [
    ...wanted
      .filter((address) => !addresses.includes(address) && !linkLocal.includes(address))
      .map((address) => missing(`address ${address} of ${of}`)),
    ...addresses
      .filter((address) => !wanted.includes(address))
      .map((address) => ({ what: 'unexpected', subject: `address ${address} of ${of}` }) as const),
  ]
}

function compareRules(report: FirewallReport | undefined): Difference[] {
  if (report === undefined) return []
  return [
    ...report.missing.map((text) => missing(`rules: ${text}`)),
    ...report.unexpected.map((text) => ({ what: 'unexpected', subject: `rules: ${text}` }) as const),
  ]
}

function missing(subject: string): Difference {
  return { what: 'missing', subject }
}

function different(subject: string, expected: string, found: string | undefined): Difference[] {
  return found === expected ? [] : [{ what: 'different', subject, expected, found: found ?? 'none' }]
}

function stateOf({ up }: LinkReport): string {
  return up ? 'up' : 'down'
}

function isDefault(destination: string): boolean {
  return destination === '0.0.0.0/0' || destination === '::/0'
}
