import type { ExistingLink, JoinPlan, PlannedRoute, SandboxLink } from '@net/driverapi'
import {
  addRoute,
  deleteRoute,
  isErrno,
  prependRoute,
  replaceRoute,
  type NetlinkMessage,
  type RouteSocket,
} from '@net/netlink-ffi'
import { containsAddress, parseAddress, parseCidr } from '@net/types'
import { addMissing } from './add-missing.ts'
import { RouteExistsError } from './errors.ts'

type Gateways = JoinPlan['sandbox']['gateways']

/** The next hop of a default route, and the name of the interface that it leads by. */
export interface ServedRoute {
  readonly hop: string
  readonly by: string
}

/** Below what the kernel gives a route that says nothing (`IP6_RT_PRIO_USER`, 1024), linux/ipv6_route.h. */
const IPV6_METRIC = 512

/** The link of a plan that a default route leads by: the one in whose network the next hop is, else the first. */
function linkTowards(
  hop: string,
  { links, existing = [] }: JoinPlan['sandbox'],
): SandboxLink | ExistingLink | undefined {
  const all = [...links, ...existing]
  const address = parseAddress(hop)
  return all.find((link) => link.addresses.some((cidr) => containsAddress(parseCidr(cidr), address))) ?? all[0]
}

/** The default routes of a plan that lead by one of its links. */
export function gatewaysBy(name: string, plan: JoinPlan['sandbox']): Gateways {
  const byLink = (hop: string | undefined): string | undefined =>
    hop !== undefined && linkTowards(hop, plan)?.name === name ? hop : undefined
  return { ipv4: byLink(plan.gateways.ipv4), ipv6: byLink(plan.gateways.ipv6) }
}

/**
 * Default routes by the link of that index. They come before those that a namespace which somebody else made has of its
 * own, which stay, and which count again when the link is gone: of IPv4 in front of them, of IPv6 with a lower metric, in
 * the place of another endpoint's.
 */
export function defaultRoutes(index: number, { ipv4, ipv6 }: Gateways): NetlinkMessage[] {
  return [
    ...(ipv4 === undefined ? [] : [prependRoute({ destination: '0.0.0.0/0', gateway: ipv4, index })]),
    ...(ipv6 === undefined ? [] : [replaceRoute({ destination: '::/0', gateway: ipv6, index, metric: IPV6_METRIC })]),
  ]
}

/** As {@link defaultRoutes}, where they may be there. */
export function restoreDefaultRoutes(inside: RouteSocket, index: number, gateways: Gateways): void {
  addMissing(inside, defaultRoutes(index, gateways))
}

/** Takes an IPv4 default route back. One that is gone is no error. */
export function withdrawRoute(inside: RouteSocket, { hop, by }: ServedRoute): void {
  const link = inside.findLink(by)
  if (link === undefined) return
  try {
    inside.apply(deleteRoute({ destination: '0.0.0.0/0', gateway: hop, index: link.index }))
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error
  }
}

/** What it means that a new link could not be configured: of all that it gets only routes may be there already. */
export function explainRoutes(
  cause: unknown,
  { name, routes }: { name: string; routes: readonly PlannedRoute[] },
): unknown {
  if (!isErrno(cause, 'EEXIST')) return cause
  const refused = routes.find((route) => addRoute(route).describe() === (cause as { request?: unknown }).request)
  return refused === undefined ? cause : new RouteExistsError(refused.destination, name, cause)
}
