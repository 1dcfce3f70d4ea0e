import { closeSync, openSync } from 'node:fs'
import { RouteSocket, type InterfaceAddress, type Link, type LinkReference } from '@net/netlink-ffi'
import { inSandboxIfThere } from '../sandbox-namespace.ts'

/**
 * Of more than that a sandbox is not looked into. Its programs can make so many that one look would keep the event loop
 * for seconds; what is a plan's has a few of each, and for an address the kernel makes a route or two.
 */
const MOST = { links: 300, addresses: 1_000, routes: 5_000 } as const

/** What is in a sandbox. */
export interface SandboxContents {
  /** By which number it knows the host's namespace; see `Link.peerNamespace`. */
  readonly host: number | undefined
  readonly links: readonly Link[]
  readonly addresses: readonly InterfaceAddress[]
  /** Where its routes lead, by which link: see {@link routeBy}. */
  readonly routes: ReadonlySet<string>
}

/** How a route is known. */
export function routeBy(index: number, destination: string): string {
  return `${destination} by ${index}`
}

/** What a look into a sandbox shows: `gone` where there is no namespace, `crowded` where there is too much in it. */
export type InsideView = SandboxContents | 'gone' | 'crowded'

/** What links that are wanted are compared with. */
export interface KernelView {
  /** A link of the host. */
  findLink(reference: LinkReference): Link | undefined
  lookInside(key: string): InsideView
}

/** The kernel as it is at the moment. */
export function liveView(routes: RouteSocket): KernelView {
  return { findLink: (reference) => routes.findLink(reference), lookInside }
}

/** The kernel as it was: links as they were listed, and sandboxes as they were first looked into. */
export function pastView(links: readonly Link[]): KernelView {
  const byIndex = new Map(links.map((link) => [link.index, link]))
  const byName = new Map(links.map((link) => [link.name, link]))
  // The interfaces of a sandbox are looked at one after the other.
  let latest: { readonly key: string; readonly contents: InsideView } | undefined
  return {
    findLink: (reference) => (typeof reference === 'number' ? byIndex.get(reference) : byName.get(reference)),
    lookInside: (key) => {
      if (latest?.key !== key) latest = { key, contents: lookInside(key) }
      return latest.contents
    },
  }
}

function lookInside(key: string): InsideView {
  using inside = inSandboxIfThere(key, () => RouteSocket.open())
  if (inside === undefined) return 'gone'
  const links = inside.listLinksUpTo(MOST.links)
  if (links === 'too-many') return 'crowded'
  // After the links: those that lead to the host have it numbered.
  const host = numberOfHost(inside)
  const addresses = inside.listAddressesUpTo(MOST.addresses)
  if (addresses === 'too-many') return 'crowded'
  const routes = inside.listRoutesUpTo(MOST.routes)
  if (routes === 'too-many') return 'crowded'
  const known = new Set(routes.map(({ destination, index = 0 }) => routeBy(index, destination)))
  return { host, links, addresses, routes: known }
}

function numberOfHost(inside: RouteSocket): number | undefined {
  const host = openSync('/proc/thread-self/ns/net', 'r')
  try {
    return inside.findNamespaceNumber(host)
  } finally {
    closeSync(host)
  }
}
