import type { JoinPlan, NetworkPlan } from '@net/driverapi'
import { RouteSocket, type InterfaceAddress, type Link } from '@net/netlink-ffi'
import type { Turns } from '@net/types'
import { inSandboxIfThere } from '../sandbox-namespace.ts'
import { readSysctl } from '../sysctl.ts'
import type { HostLinkReport, HostReport, LinkReport, SandboxLinkReport, SandboxReport } from './host-report.ts'

/** What is to be on a host. */
export interface Wanted {
  /** What links bear as their alias. */
  readonly owner: string
  readonly networks: readonly NetworkPlan[]
  readonly joins: readonly { readonly key: string; readonly plan: JoinPlan }[]
  /** Where the namespaces of sandboxes are to be. */
  readonly keys: readonly string[]
  /** Links that are going, by index: as if they were gone. */
  readonly leaving: ReadonlySet<number>
}

/** Reads what there is of what is wanted, a sandbox at a time. `routes` is the host's. */
export async function readHost(wanted: Wanted, routes: RouteSocket, turns: Turns): Promise<HostReport> {
  const sysctls = readSysctls(wanted.networks)
  await turns.take()
  const links = readLinks(wanted, routes)
  const sandboxes: SandboxReport[] = []
  for (const key of wanted.keys) {
    await turns.take()
    sandboxes.push(await readSandbox(key))
  }
  return { links, sandboxes, sysctls }
}

function readSysctls(networks: readonly NetworkPlan[]): Record<string, string> {
  const all = networks.flatMap(({ sysctls }) => sysctls.map(({ path }) => [path, readSysctl(path)] as const))
  return Object.fromEntries(all.flatMap(([path, value]) => (value === undefined ? [] : [[path, value]])))
}

function readLinks({ owner, networks, joins, leaving }: Wanted, routes: RouteSocket): HostLinkReport[] {
  const named = new Set([
    ...networks.flatMap(({ links }) => links.map(({ name }) => name)),
    ...joins.flatMap(({ plan }) => plan.sandbox.links.map(({ create }) => create.hostName)),
  ])
  const all = routes.listLinks()
  const nameOf = new Map(all.map(({ index, name }) => [index, name]))
  const addresses = addressesByLink(routes.listAddresses())
  return all
    .filter(({ index, name, alias }) => (alias === owner || named.has(name)) && !leaving.has(index))
    .map((link) => ({
      ...reportLink(link, addresses),
      index: link.index,
      owner: link.alias,
      master: link.master === undefined ? undefined : nameOf.get(link.master),
    }))
    .sort((one, other) => one.name.localeCompare(other.name))
}

/** While the event loop goes on: its programs may have made as many links, addresses and routes as they like. */
async function readSandbox(key: string): Promise<SandboxReport> {
  using routes = inSandboxIfThere(key, () => RouteSocket.open())
  if (routes === undefined) return { key }
  const links = await routes.listLinksOffLoop()
  const nameOf = new Map(links.map(({ index, name }) => [index, name]))
  const addresses = addressesByLink(await routes.listAddressesOffLoop())
  const found = await routes.listRoutesOffLoop()
  return {
    key,
    inside: {
      links: links
        .filter(({ name }) => name !== 'lo')
        .map((link) => ({ ...reportLink(link, addresses), ...linkLocalOf(link, addresses) })),
      routes: found
        .filter(({ destination }) => !isLinkLocal(destination))
        .map(({ destination, gateway, index = 0 }) => ({ destination, gateway, link: nameOf.get(index) })),
    },
  }
}

function reportLink(
  { index, name, kind, up, mtu, macAddress }: Link,
  addresses: ReadonlyMap<number, readonly string[]>,
): LinkReport {
  const all = addresses.get(index) ?? []
  return { name, kind, up, mtu, macAddress, addresses: all.filter((address) => !isLinkLocal(address)) }
}

function linkLocalOf(
  { index }: Link,
  addresses: ReadonlyMap<number, readonly string[]>,
): Pick<SandboxLinkReport, 'linkLocal'> {
  const linkLocal = addresses.get(index)?.filter(isLinkLocal) ?? []
  return linkLocal.length === 0 ? {} : { linkLocal }
}

function addressesByLink(all: readonly InterfaceAddress[]): Map<number, string[]> {
  const byLink = new Map<number, string[]>()
  for (const { index, address } of all) {
    const known = byLink.get(index)
    if (known === undefined) byLink.set(index, [address])
    else known.push(address)
  }
  return byLink
}

function isLinkLocal(cidr: string): boolean {
  return cidr.startsWith('fe80:') || cidr.startsWith('ff00:')
}
