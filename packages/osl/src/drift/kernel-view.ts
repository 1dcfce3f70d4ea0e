import { closeSync, openSync } from 'node:fs'
import { RouteSocket, type InterfaceAddress, type Link, type LinkReference } from '@net/netlink-ffi'
import { inSandboxIfThere } from '../sandbox-namespace.ts'

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

/** What links that are wanted are compared with. */
export interface KernelView {
  /** A link of the host. */
  findLink(reference: LinkReference): Link | undefined
  /** Undefined where the namespace is gone. */
  lookInside(key: string): SandboxContents | undefined
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
  let latest: { readonly key: string; readonly contents: SandboxContents | undefined } | undefined
  return {
    findLink: (reference) => (typeof reference === 'number' ? byIndex.get(reference) : byName.get(reference)),
    lookInside: (key) => {
      if (latest?.key !== key) latest = { key, contents: lookInside(key) }
      return latest.contents
    },
  }
}

function lookInside(key: string): SandboxContents | undefined {
  using inside = inSandboxIfThere(key, () => RouteSocket.open())
  if (inside === undefined) return undefined
  const links = inside.listLinks()
  return {
    // After the links: those that lead to the host have it numbered.
    host: numberOfHost(inside),
    links,
    addresses: inside.listAddresses(),
    routes: new Set(inside.listRoutes().map(({ destination, index = 0 }) => routeBy(index, destination))),
  }
}

function numberOfHost(inside: RouteSocket): number | undefined {
  const host = openSync('/proc/thread-self/ns/net', 'r')
  try {
    return inside.findNamespaceNumber(host)
  } finally {
    closeSync(host)
  }
}
